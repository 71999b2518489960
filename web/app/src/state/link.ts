// The link that lets others in. It never holds a token: those are made for one person.

import { pathOfRoom } from "../pure/room-name.js";
import { say } from "./toasts.js";

export const linkOf = (room: string): string => location.origin + pathOfRoom(room);

export async function copyLink(room: string): Promise<void> {
  const link = linkOf(room);
  try {
    await navigator.clipboard.writeText(link);
    say("Link copied");
  } catch {
    say("The browser does not let this page copy.", `Copy it from here: ${link}`);
  }
}
