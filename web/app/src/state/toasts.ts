// Short messages that come and go. Screen readers hear them, because their list is a live region.

import { signal } from "@preact/signals";
import { lifeMs, type Step, type Toast, withToast } from "../pure/toasts.js";

export const toasts = signal<readonly Toast[]>([]);
const timers = new Map<number, number>();
let lastId = 0;

/** Says something, what to do about it, and perhaps the step that does it. */
export function say(text: string, next = "", step?: Step): void {
  const toast: Toast = { id: ++lastId, text, next, step };
  toasts.value = withToast(toasts.value, toast);
  release(toast);
}

export function dismiss(id: number): void {
  hold(id);
  toasts.value = toasts.value.filter((t) => t.id !== id);
}

/** It stays: somebody is at it. */
export function hold(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

/** It goes by itself, a while from now. */
export function release(toast: Toast): void {
  hold(toast.id);
  timers.set(toast.id, window.setTimeout(() => dismiss(toast.id), lifeMs(toast)));
}
