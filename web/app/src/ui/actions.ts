// What is a button of the bar, or an entry of the menu where the bar has no room for it.

import type { Leaving } from "../pure/bar.js";
import type { Call } from "../state/call.js";
import { refusals } from "../pure/may.js";
import { toggleHand } from "../state/hands.js";
import { togglePanel } from "../state/view.js";
import type { IconName } from "./sprite.gen.js";

export interface Action {
  readonly icon: IconName;
  readonly label: string;
  readonly shortcut: string;
  /** It goes on. */
  readonly isLit: boolean;
  /** Why one may not; empty: one may. Pressed all the same, it says so. */
  readonly refusal: string;
  readonly does: () => void;
}

/** The accessible name of a control, which says also why it does nothing. */
export const labelOf = (label: string, refusal: string): string => (refusal === "" ? label : `${label}. ${refusal}.`);

export function actionOf(which: Leaving, call: Call): Action {
  switch (which) {
    case "share": {
      const isLit = call.sharing.value.is === "live";
      return {
        icon: isLit ? "share-off" : "share",
        label: isLit ? "Stop sharing" : "Share screen",
        shortcut: "D",
        isLit,
        refusal: call.may.value.screen ? "" : refusals.screen,
        does: () => void call.toggleSharing(),
      };
    }
    case "people":
      return { icon: "people", label: "People", shortcut: "P", isLit: false, refusal: "", does: () => togglePanel("people") };
    case "hand": {
      const isLit = call.people.value.some((p) => p.isLocal && p.hand > 0);
      return {
        icon: "hand",
        label: isLit ? "Lower your hand" : "Raise your hand",
        shortcut: "R",
        isLit,
        refusal: call.may.value.write ? "" : refusals.hand,
        does: () => void toggleHand(call),
      };
    }
  }
}
