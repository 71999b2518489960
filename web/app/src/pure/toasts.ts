// Which of the short messages are on the screen.

export interface Step {
  readonly label: string;
  readonly does: () => void;
}

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly next: string;
  readonly step: Step | undefined;
}

const most = 4;
const shortMs = 4_000;
const longMs = 12_000; // with a next step to read, or to reach by keyboard

export const lifeMs = ({ next, step }: Toast): number => (next === "" && !step ? shortMs : longMs);

/** The messages with one more. The same once more takes the other's place. */
export function withToast(toasts: readonly Toast[], toast: Toast): readonly Toast[] {
  return [...toasts.filter(({ text, next }) => text !== toast.text || next !== toast.next), toast].slice(-most);
}
