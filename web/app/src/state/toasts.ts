// Short messages that come and go. Screen readers hear them, because their list is a live region.

import { signal } from "@preact/signals";

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly next: string;
}

const shortMs = 4_000;
const longMs = 12_000; // with a next step to read
const most = 4;

export const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

export function say(text: string, next = ""): void {
  const toast: Toast = { id: ++lastId, text, next };
  toasts.value = [...toasts.value, toast].slice(-most);
  setTimeout(() => dismiss(toast.id), next === "" ? shortMs : longMs);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((t) => t.id !== id);
}
