// Tells once that others draw or write, to whom has not opened it, and no longer than that.

import { textOf } from "../pure/lines.js";
import type { Call } from "./call.js";
import { tellOnce } from "./tell-once.js";
import { say } from "./toasts.js";
import { boardOpen, panel } from "./view.js";

/** Listens until the returned function is called. */
export function announceTogether(call: Call): () => void {
  const artist = (): string | undefined => {
    const self = call.people.peek().find((p) => p.isLocal)?.identity;
    return call.board.value?.strokes.value.findLast((s) => s.by !== self)?.by;
  };
  const ends = [
    tellOnce(() => artist() !== undefined, () => boardOpen.value, () => {
      const name = call.people.value.find((p) => p.identity === artist())?.name;
      return say(name === undefined ? "Something is on the whiteboard" : `${name} has drawn on the whiteboard`, "", { label: "Look", does: () => (boardOpen.value = true) });
    }),
    tellOnce(() => textOf(call.notes.value?.lines.value ?? []) !== "", () => panel.value === "notes", () => {
      return say("There are notes in this room", "", { label: "Read", does: () => (panel.value = "notes") });
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
