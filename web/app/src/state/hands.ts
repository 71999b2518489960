// Raising one's hand, and lowering it or that of somebody else.

import { ParleyError } from "@parley-rtc/sdk";
import type { Call, Person } from "./call.js";
import { sayRefusal } from "./switches.js";
import { say } from "./toasts.js";

export const mayRaise = (call: Call): boolean => call.hasHands.value && call.may.value.write;

export async function toggleHand(call: Call): Promise<void> {
  const self = call.people.value.find((p) => p.isLocal);
  if (!self || !call.hasHands.value) return;
  if (!mayRaise(call)) sayRefusal("hand");
  else await changeHand(call, self, self.hand === 0);
}

export async function changeHand(call: Call, { identity, isLocal, name }: Person, raised: boolean): Promise<void> {
  try {
    await call.raiseHand(identity, raised);
  } catch (reason) {
    const isForbidden = reason instanceof ParleyError && reason.code === "forbidden";
    const whose = isLocal ? "Your hand" : `The hand of ${name}`;
    say(`${whose} could not be ${raised ? "raised" : "lowered"}.`, isForbidden ? "Whoever runs this server has said who may." : "Try again.");
  }
}
