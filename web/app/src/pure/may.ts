// What one may do in a call. Whoever runs the meeting can change it at any time; here it is put into words.

import { listNames } from "./people.js";

/** "sound" is that of a shared screen; who may "write" may also draw and raise a hand; who may not "watch" neither sees nor hears the others. */
export const uses = ["microphone", "camera", "screen", "sound", "write", "watch"] as const;
export type Use = (typeof uses)[number];
export type May = Readonly<Record<Use, boolean>>;

/** What is switched on. */
export type Going = ReadonlySet<Use>;

const deeds: Readonly<Record<Use, readonly string[]>> = {
  microphone: ["speak"],
  camera: ["show your camera"],
  screen: ["share your screen"],
  sound: ["share the sound of your screen"],
  write: ["write", "draw", "raise your hand"],
  watch: ["see the others", "hear them"],
};

/** Why a control does nothing: for its label, and as what is said when it is pressed. */
export const refusals = {
  microphone: "You may not speak in this room",
  camera: "You may not show your camera in this room",
  screen: "You may not share your screen in this room",
  chat: "You may not write in this room",
  notes: "You may not write in this room",
  board: "You may not draw in this room",
  hand: "You may not raise your hand in this room",
} as const;

export const whoAllows = "Whoever runs the meeting can allow it.";

/** Something that is to be told. */
export interface Ruling {
  readonly text: string;
  readonly next: string;
  /** What can be switched on now. */
  readonly offers: "microphone" | "camera" | "screen" | undefined;
}

/** What is to be told when one may do something else than before: first what is over. */
export function rulings(before: May, now: May, going: Going): readonly Ruling[] {
  const taken = named(uses.filter((use) => before[use] && !now[use]));
  const given = named(uses.filter((use) => !before[use] && now[use]));
  const told: Ruling[] = [];
  if (taken.length > 0) {
    const text = `You may no longer ${listOf(taken, "or")}.`;
    told.push({ text, next: ["Whoever runs the meeting has decided so.", ...endings(taken, going)].join(" "), offers: undefined });
  }
  if (given.length > 0) {
    const offers = (["microphone", "camera", "screen"] as const).find((use) => given.includes(use));
    told.push({ text: `You may ${listOf(given, "and")} now.`, next: "", offers });
  }
  return told;
}

/** A screen's sound goes without saying where the screen itself is spoken of. */
const named = (changed: readonly Use[]): readonly Use[] => changed.filter((use) => use !== "sound" || !changed.includes("screen"));

function listOf(changed: readonly Use[], joint: "and" | "or"): string {
  const all = changed.flatMap((use) => deeds[use]);
  const last = all.pop() ?? "";
  return all.length > 0 ? `${all.join(", ")} ${joint} ${last}` : last;
}

/** What was going on, and is not any more. */
function endings(taken: readonly Use[], going: Going): readonly string[] {
  const off = (["microphone", "camera"] as const).filter((use) => taken.includes(use) && going.has(use));
  const ended: string[] = [];
  if (off.length > 0) ended.push(`Your ${listNames(off)} ${off.length > 1 ? "are" : "is"} off.`);
  if (taken.includes("screen") && going.has("screen")) ended.push("Your screen is not shared any more.");
  if (taken.includes("sound") && going.has("sound")) ended.push("Its sound is not shared any more.");
  return ended;
}
