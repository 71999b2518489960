// Short messages that come and go. Screen readers hear them, because their list is a live region.

import { signal } from "@preact/signals";
import { type Step, type Toast, withToast } from "../pure/toasts.js";

const shortMs = 4_000;
const longMs = 12_000; // with a next step to read

export const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

/** Says something, what to do about it, and perhaps the step that does it. */
export function say(text: string, next = "", step?: Step): void {
  const toast: Toast = { id: ++lastId, text, next, step };
  toasts.value = withToast(toasts.value, toast);
  setTimeout(() => dismiss(toast.id), next === "" ? shortMs : longMs);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((t) => t.id !== id);
}
