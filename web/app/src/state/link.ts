// The link that lets others in. It never holds a token: those are made for one person.

import { pathOfRoom } from "../pure/room-name.js";
import type { Call } from "./call.js";
import { say } from "./toasts.js";
import { dialog } from "./view.js";

export const linkOf = (room: string): string => location.origin + pathOfRoom(room);

export const inviteLabel = (call: Call): string => (call.byInvitation ? "Invite others" : "Copy the link");

/** Copies the link, or tells what guests need beside it. */
export function invite(call: Call): void {
  if (call.byInvitation) dialog.value = { is: "invite" };
  else void copy(linkOf(call.room), "Link copied");
}

export async function copy(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say("The browser does not let this page copy.", `Copy it from here: ${text}`);
  }
}
