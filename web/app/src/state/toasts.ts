// Short messages that come and go. Screen readers hear them, because their list is a live region.

import { signal } from "@preact/signals";
import { lifeMs, type Step, type Toast, withToast } from "../pure/toasts.js";

export const toasts = signal<readonly Toast[]>([]);
const timers = new Map<number, ReturnType<typeof setTimeout>>();
const holders = new Map<number, Set<Holder>>();
let lastId = 0;

/** What is at a message: it stays while any of them is. */
export type Holder = "pointer" | "focus";

/** Says something, what to do about it, and perhaps the step that does it. Gives the message's id. */
export function say(text: string, next = "", step?: Step): number {
  const toast: Toast = { id: ++lastId, text, next, step };
  toasts.value = withToast(toasts.value, toast);
  goesSoon(toast);
  return toast.id;
}

export function dismiss(id: number): void {
  stays(id);
  holders.delete(id);
  toasts.value = toasts.value.filter((t) => t.id !== id);
}

/** What was said in a call ends with it. */
export function dismissAll(): void {
  for (const { id } of toasts.peek()) dismiss(id);
}

/** It stays. */
export function hold(id: number, by: Holder): void {
  holders.set(id, (holders.get(id) ?? new Set()).add(by));
  stays(id);
}

/** It goes a while after the last has let go of it. */
export function release(toast: Toast, by: Holder): void {
  const left = holders.get(toast.id);
  left?.delete(by);
  if (!left?.size) goesSoon(toast);
}

function stays(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

function goesSoon(toast: Toast): void {
  stays(toast.id);
  timers.set(toast.id, setTimeout(() => dismiss(toast.id), lifeMs(toast)));
}
