// What is different where many are in a room.

export interface Participant {
  readonly identity: string;
  readonly isLocal: boolean;
  readonly leads: boolean;
}

export type View = "grid" | "speaker";

/** So many faces a grid shows well. */
const mostInGrid: Readonly<Record<"small" | "large", number>> = { small: 6, large: 12 };
/** How many pictures a device can decode at once without getting warm. */
const mostCameras: Readonly<Record<"small" | "large", number>> = { small: 8, large: 16 };

/** A phone, by the shorter side of its screen in CSS pixels. */
const screenIs = (shortSide: number): "small" | "large" => (shortSide < 600 ? "small" : "large");

/** How many cameras to ask for at once: see lastN of the SDK's join(). */
export function camerasAtOnce(shortSide: number): number {
  return mostCameras[screenIs(shortSide)];
}

/** The view that suits, where nobody has chosen one. */
export function suitingView(count: number, shortSide: number): View {
  return count > mostInGrid[screenIs(shortSide)] ? "speaker" : "grid";
}

/** Who is large in the speaker view: of the others, who leads, else who was before, else who came first. Empty: nobody. */
export function featuredOf(people: readonly Participant[], before: string): string {
  const others = people.filter((p) => !p.isLocal);
  const next = others.find((p) => p.leads) ?? others.find((p) => p.identity === before) ?? others[0];
  return next?.identity ?? "";
}
