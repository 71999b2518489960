// What is told to those who have not seen it.

import { effect, untracked } from "@preact/signals";
import { dismiss } from "./toasts.js";

/** Says something once when it is there, unless it is seen already; from then on it is not said, and no longer on the screen. Returns what ends it. */
export function tellOnce(isThere: () => boolean, isSeen: () => boolean, tell: () => number): () => void {
  let isOver = false;
  let told: number | undefined;
  return effect(() => {
    isOver ||= isSeen();
    const message = told;
    if (isOver && message !== undefined) untracked(() => dismiss(message));
    if (isOver || told !== undefined || !isThere()) return;
    told = untracked(tell);
  });
}
