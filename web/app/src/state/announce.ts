// Tells once that others draw or write, to whom has not opened it.

import { effect, untracked } from "@preact/signals";
import { textOf } from "../pure/lines.js";
import type { Call } from "./call.js";
import { say } from "./toasts.js";
import { boardOpen, panel } from "./view.js";

/** Listens until the returned function is called. */
export function announceTogether(call: Call): () => void {
  const artist = (): string | undefined => {
    const self = call.people.peek().find((p) => p.isLocal)?.identity;
    return call.board.value?.strokes.value.findLast((s) => s.by !== self)?.by;
  };
  const ends = [
    once(() => artist() !== undefined, () => boardOpen.value, () => {
      const name = call.people.value.find((p) => p.identity === artist())?.name;
      say(name === undefined ? "Something is on the whiteboard" : `${name} has drawn on the whiteboard`, "", { label: "Look", does: () => (boardOpen.value = true) });
    }),
    once(() => textOf(call.notes.value?.lines.value ?? []) !== "", () => panel.value === "notes", () => {
      say("There are notes in this room", "", { label: "Read", does: () => (panel.value = "notes") });
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Whether there is something, and whether it is seen: what is told once. */
function once(isThere: () => boolean, isSeen: () => boolean, tell: () => void): () => void {
  let isTold = false;
  return effect(() => {
    if (isSeen()) isTold = true;
    if (isTold || !isThere()) return;
    isTold = true;
    untracked(tell);
  });
}
