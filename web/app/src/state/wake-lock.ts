// Keeps the screen from going dark during a call, where the browser lets it.

export function keepAwake(): () => void {
  const ending = new AbortController();
  let lock: WakeLockSentinel | undefined;
  const ask = async (): Promise<void> => {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    const got = await navigator.wakeLock.request("screen").catch(() => undefined); // a low battery refuses it
    if (ending.signal.aborted) await got?.release();
    else lock = got;
  };
  void ask();
  // Browsers release it when the page is hidden.
  document.addEventListener("visibilitychange", () => void ask(), { signal: ending.signal });
  return () => {
    ending.abort();
    void lock?.release().catch(() => undefined);
  };
}
