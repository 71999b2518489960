// What is told while a call has no connection: what is known, and no more than that.

/** A connection that was lost. */
export interface Loss {
  /** In ms since 1970. */
  readonly since: number;
  /** The server had said that it goes down, as for a restart. */
  readonly wasSaid: boolean;
}

export interface LossWords {
  readonly title: string;
  readonly next: string;
}

/** A server that restarts is back before that. */
const restartMs = 30_000;
/** Most networks are back before that, and nobody has to do anything. */
const patienceMs = 10_000;

/** It changes seldom, as screen readers say it; how long it has lasted is told beside it. */
export function lossWords({ since, wasSaid }: Loss, now: number, isOnline: boolean): LossWords {
  const ms = now - since;
  const comesBack = "You come back by yourself";
  if (!isOnline) return { title: "This device is offline", next: `${comesBack} once it has a network again.` };
  if (wasSaid && ms < restartMs) return { title: "The server is restarting", next: `${comesBack} in a moment.` };
  if (wasSaid) return { title: "The server has not come back", next: `It had said that it goes down. ${comesBack} once it answers.` };
  if (ms < patienceMs) return { title: "The connection was lost", next: "" };
  return { title: "The connection was lost", next: `The server does not answer: it may be down, or your network. ${comesBack} once it answers.` };
}

/** "12 s", "1 min 5 s". */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
