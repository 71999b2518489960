// Full screen, where the browser has it (phones by Apple do not).

import { signal } from "@preact/signals";

export const isFullScreen = signal(false);

export const canFullScreen = (): boolean => document.fullscreenEnabled === true;

export function watchFullScreen(): void {
  document.addEventListener("fullscreenchange", () => (isFullScreen.value = document.fullscreenElement !== null));
}

export async function toggleFullScreen(): Promise<void> {
  if (!canFullScreen()) return;
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen({ navigationUI: "hide" }).catch(() => undefined);
}
