// Undoing in shared notes: takes back what one has written oneself, and leaves what others have written since.

import { keyAt, type Line, type LineChanges, placeOf } from "./lines.js";

/** One's own change of the notes: the lines that it took away, and those that it put there. */
export interface Deed {
  readonly taken: readonly Line[];
  readonly put: readonly Line[];
}

/** Of one's deeds so many can be undone. */
export const maxDeeds = 200;
/** Who pauses for so long begins another deed. */
const pauseMs = 1_000;

/** What changes did to these lines. */
export function deedOf(lines: readonly Line[], changes: LineChanges): Deed {
  const put = Object.entries(changes).flatMap(([key, text]) => (text === undefined ? [] : [{ key, text }]));
  return { taken: lines.filter(({ key }) => Object.hasOwn(changes, key) && changes[key] === undefined), put };
}

/** Both as one, where the second one changes lines of the first one and no others. */
function together(first: Deed, second: Deed): Deed | undefined {
  const own = new Set(first.put.map((l) => l.key));
  if (second.taken.length === 0 || !second.taken.every((l) => own.has(l.key))) return undefined;
  const gone = new Set(second.taken.map((l) => l.key));
  return { taken: first.taken, put: [...first.put.filter((l) => !gone.has(l.key)), ...second.put] };
}

/** What takes a deed back. Where others have changed a line of it since, their part of it stays; where both parts are one, all of it does. */
export function inverse(lines: readonly Line[], { taken, put }: Deed, random: () => number): LineChanges {
  const changes: Record<string, string | undefined> = {};
  for (const place of new Set([...taken, ...put].map(placeOf))) {
    const here = (all: readonly Line[]): readonly Line[] => all.filter((l) => placeOf(l) === place);
    const [before, after, now] = [here(taken), here(put)[0], here(lines)];
    if (after ? now.some((l) => l.key === after.key) : now.length === 0) {
      if (after) changes[after.key] = undefined;
      for (const { key, text } of before) changes[key] = text;
      continue;
    }
    const [theirs] = now;
    if (!after || !theirs || now.length > 1 || before.length > 1) continue;
    const text = without(after.text, before[0]?.text ?? "", theirs.text);
    if (text === undefined || text === theirs.text) continue;
    changes[theirs.key] = undefined;
    if (text !== "" || before.length > 0) changes[keyAt(place, random)] = text;
  }
  return changes;
}

/** Theirs, which was made of mine, as if mine were before; undefined: both changed the same part. */
function without(mine: string, before: string, theirs: string): string | undefined {
  const [back, on] = [difference(mine, before), difference(mine, theirs)];
  if (back.end <= on.start) return theirs.slice(0, back.start) + back.text + theirs.slice(back.end);
  if (on.end > back.start) return undefined;
  const shift = theirs.length - mine.length;
  return theirs.slice(0, back.start + shift) + back.text + theirs.slice(back.end + shift);
}

/** The part of a text, from start to end, in place of which another one has a text. */
function difference(from: string, to: string): { readonly start: number; readonly end: number; readonly text: string } {
  const least = Math.min(from.length, to.length);
  let start = 0;
  while (start < least && from[start] === to[start]) start++;
  let tail = 0;
  while (tail < least - start && from.at(-1 - tail) === to.at(-1 - tail)) tail++;
  return { start, end: from.length - tail, text: to.slice(start, to.length - tail) };
}

/** Where what has changed ends in the text as it is now. */
export const endOfChange = (before: string, now: string): number => {
  const { start, text } = difference(before, now);
  return start + text.length;
};

/** One's own deeds. */
export class Deeds {
  readonly #random: () => number;
  #done: readonly Deed[] = [];
  #undone: readonly Deed[] = [];
  #lastAt = -Infinity;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Who writes on in the same lines has done one thing. Now is in milliseconds. */
  did(deed: Deed, now: number): void {
    const last = this.#done.at(-1);
    const both = last && now - this.#lastAt < pauseMs ? together(last, deed) : undefined;
    this.#done = both ? [...this.#done.slice(0, -1), both] : [...this.#done, deed].slice(-maxDeeds);
    this.#undone = [];
    this.#lastAt = now;
  }

  /** What takes back one's last deed of which something is left. */
  undo(lines: readonly Line[]): LineChanges {
    const [left, changes] = this.#back(this.#done, lines);
    this.#done = left;
    if (Object.keys(changes).length > 0) this.#undone = [...this.#undone, deedOf(lines, changes)];
    return changes;
  }

  /** What does again what was undone last. */
  redo(lines: readonly Line[]): LineChanges {
    const [left, changes] = this.#back(this.#undone, lines);
    this.#undone = left;
    if (Object.keys(changes).length > 0) this.#done = [...this.#done, deedOf(lines, changes)];
    return changes;
  }

  #back(deeds: readonly Deed[], lines: readonly Line[]): readonly [left: readonly Deed[], changes: LineChanges] {
    this.#lastAt = -Infinity;
    for (let i = deeds.length - 1; i >= 0; i--) {
      const deed = deeds[i];
      const changes = deed ? inverse(lines, deed, this.#random) : {};
      if (Object.keys(changes).length > 0) return [deeds.slice(0, i), changes];
    }
    return [[], {}];
  }
}
