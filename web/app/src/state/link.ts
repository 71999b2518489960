// The link that lets others in. It never holds a token: those are made for one person.

import { signal } from "@preact/signals";
import { isLoopback, othersOf } from "../pure/origin.js";
import { pathOfRoom } from "../pure/room-name.js";
import type { Call } from "./call.js";
import { say } from "./toasts.js";
import { dialog } from "./view.js";

const origin = signal(location.origin);
/** Nobody on another machine gets to this server, as far as is known. */
export const isOnlyHere = signal(false);

/** A page that came from "localhost" asks the server where others find it. */
export async function findOrigin(): Promise<void> {
  if (!isLoopback(location.hostname)) return;
  const answer: unknown = await fetch("/v1/server").then((r) => r.json()).catch(() => undefined);
  const others = othersOf(answer);
  isOnlyHere.value = others === undefined;
  if (others !== undefined) origin.value = others;
}

export const linkOf = (room: string): string => origin.value + pathOfRoom(room);

export const inviteLabel = (call: Call): string => (call.byInvitation ? "Invite others" : "Copy the link");

/** Copies the link, or tells what guests need beside it. */
export function invite(call: Call): void {
  if (call.byInvitation) dialog.value = { is: "invite" };
  else void copyLink(linkOf(call.room), "Link copied");
}

/** Warns where the link is worth nothing to others. */
export function copyLink(link: string, done: string): Promise<void> {
  return isOnlyHere.value ? copy(link, `${done}, but it works only on this machine`, onlyHereNext) : copy(link, done);
}

export const onlyHereNext = "The server has no address for others. What it printed when it started says why.";

export async function copy(text: string, done: string, next = ""): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(done, next);
  } catch {
    say("The browser does not let this page copy.", `Copy it from here: ${text}`);
  }
}
