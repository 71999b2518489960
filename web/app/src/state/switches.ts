// The switches of one's microphone and camera in a call, where only a message says why one cannot be opened or may not be used.

import { deviceAdvice } from "../pure/advice.js";
import { refusals, whoAllows } from "../pure/may.js";
import type { Call } from "./call.js";
import type { Capture } from "./capture.js";
import { say } from "./toasts.js";

export async function toggleInCall(call: Call, capture: Capture): Promise<void> {
  if (!call.may.value[capture.device]) return sayRefusal(capture.device);
  await capture.toggle();
  sayFailure(capture);
}

/** Says that one may not, and who can change that. */
export function sayRefusal(what: keyof typeof refusals): void {
  say(`${refusals[what]}.`, whoAllows);
}

/** Trying again is never switching off, also where the last try has not ended. */
function sayFailure(capture: Capture): void {
  const state = capture.state.value;
  if (state.is !== "failed") return;
  const { title, next, actions } = deviceAdvice(state.failure, true);
  const again = (): void => void capture.switchOn().then(() => sayFailure(capture));
  say(title, next, actions.includes("retry") ? { label: "Try again", does: again } : undefined);
}
