// Shared notes: a text that several write at once. Each line is a member of a record; its key says where it is and which writing of it this is:
//
//	V-x7kQ: "Agenda"    Wk2-b81z: "1. The plan"
//
// Who changes a line takes its member away and puts another one at the same place, in one write. So whoever else writes does not matter: lines
// that others have put in stay, those at other places are not touched, and where two change the same line at once, both of what they wrote stay,
// one below the other.

export interface Line {
  readonly key: string;
  readonly text: string;
}

/** What becomes of members; undefined: they go. */
export type LineChanges = Readonly<Record<string, string | undefined>>;

/** What notes hold at most. The server takes records of 256 KiB. */
export const maxLines = 4000;
export const maxNotesBytes = 160 * 1024;

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; // in the order of their codes
const suffixLength = 4;
/** A place does not end with 0: nothing would fit between it and the place without. */
const form = /^[0-9A-Za-z]*[1-9A-Za-z]-[0-9A-Za-z]+$/;
/** Of a line's key and what is around it, in bytes. */
const lineBytes = 32;

export const placeOf = ({ key }: Line): string => key.slice(0, key.indexOf("-"));

/** What of a document is a line, in their order. */
export function linesOf(document: unknown): readonly Line[] {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return [];
  const members = Object.entries(document as Record<string, unknown>).filter(([key, text]) => typeof text === "string" && form.test(key));
  return members.map(([key, text]) => ({ key, text: text as string })).sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function textOf(lines: readonly Line[]): string {
  return lines.map((l) => l.text).join("\n");
}

/** Whether notes can be so long. */
export function fits(text: string): boolean {
  const lines = text.split("\n").length;
  return lines <= maxLines && new TextEncoder().encode(text).length + lineBytes * lines <= maxNotesBytes;
}

/**
 * What makes the text of these lines another one. Own holds the places that were made here, and is added to: lines that are written one below the
 * other stay together, also where somebody else writes at the same place. Random gives numbers below 1.
 */
export function edit(lines: readonly Line[], text: string, own: Set<string>, random: () => number): LineChanges {
  if (text === textOf(lines)) return {};
  const wanted = text.split("\n");
  let head = 0;
  while (head < Math.min(lines.length, wanted.length) && lines[head]?.text === wanted[head]) head++;
  let tail = 0;
  while (tail < Math.min(lines.length, wanted.length) - head && lines.at(-1 - tail)?.text === wanted.at(-1 - tail)) tail++;
  // Nothing goes between two lines at the same place: the second one gets another.
  while (head > 0 && tail > 0 && at(lines, lines.length - tail) === at(lines, head - 1)) tail--;
  const old = lines.slice(head, lines.length - tail);
  const high = at(lines, lines.length - tail);
  let low = at(lines, head - 1);
  const changes: Record<string, string | undefined> = {};
  wanted.slice(head, wanted.length - tail).forEach((line, i) => {
    const before = at(old, i);
    low = before > low && (high === "" || before < high) ? before : placeAfter(low, high, own, random);
    changes[keyAt(low, random)] = line;
  });
  for (const { key } of old) if (!Object.hasOwn(changes, key)) changes[key] = undefined;
  return changes;
}

/** The place of a line; empty: there is no such line. */
function at(lines: readonly Line[], i: number): string {
  const line = lines[i];
  return line ? placeOf(line) : "";
}

function placeAfter(low: string, high: string, own: Set<string>, random: () => number): string {
  const place = own.has(low) ? following(low, high) : `${between(low, high)}${letters(2, random)}1`; // with room for more of one's own
  own.add(place);
  return place;
}

/** The next place after one's own: nobody else makes one between them. */
function following(low: string, high: string): string {
  const last = digits.indexOf(low.at(-1) ?? "");
  const next = last + 1 < digits.length ? low.slice(0, -1) + digits.charAt(last + 1) : `${low}1`;
  return high === "" || next < high ? next : between(low, high);
}

/** A place between two others, which differ; empty: there is none on that side. */
export function between(low: string, high: string): string {
  let [prefix, bound] = ["", high];
  for (let i = 0; ; i++) {
    const floor = i < low.length ? digits.indexOf(low.charAt(i)) : 0;
    const ceiling = bound === "" ? digits.length : digits.indexOf(bound.charAt(i));
    if (ceiling - floor > 1) {
      // Who writes on goes downwards: next to the line above there is least lost.
      const isOpen = i >= low.length && (bound !== "" || low === "");
      return prefix + digits.charAt(isOpen ? floor + Math.floor((ceiling - floor) / 2) : floor + 1);
    }
    prefix += digits.charAt(floor);
    if (floor < ceiling) bound = "";
  }
}

/** The key of another writing of the line at a place. */
export const keyAt = (place: string, random: () => number): string => `${place}-${letters(suffixLength, random)}`;

/** Letters and digits; the last one is no 0, below which there would be no place. */
function letters(count: number, random: () => number): string {
  return Array.from({ length: count }, () => digits.charAt(1 + Math.floor(random() * (digits.length - 1)))).join("");
}

/** Where a caret is that stays in its line, when lines become others. */
export function moveCaret(before: readonly Line[], after: readonly Line[], caret: number): number {
  let [line, column] = [0, caret];
  while (line < before.length - 1 && column > (before[line]?.text.length ?? 0)) column -= (before[line++]?.text.length ?? 0) + 1;
  const there = before[line];
  if (!there || after.length === 0) return Math.min(caret, textOf(after).length);
  const found = placeNow(after, there);
  const start = after.slice(0, found).reduce((sum, l) => sum + l.text.length + 1, 0);
  return start + columnNow(there, after[found] ?? there, column);
}

/** Where a line has another text, the caret stays beside the same letters. */
function columnNow(before: Line, after: Line, column: number): number {
  return placeOf(before) === placeOf(after) ? caretInText(before.text, after.text, column) : Math.min(column, after.text.length);
}

/** Which line is this one, or in its place, or where it was. */
function placeNow(lines: readonly Line[], line: Line): number {
  const same = lines.findIndex((l) => l.key === line.key);
  if (same >= 0) return same;
  const next = lines.findIndex((l) => placeOf(l) >= placeOf(line));
  return next >= 0 ? next : lines.length - 1;
}

/** Where a caret is when one part of a text has become another. */
export function caretInText(before: string, after: string, caret: number): number {
  const least = Math.min(before.length, after.length);
  let head = 0;
  while (head < least && before[head] === after[head]) head++;
  if (caret <= head) return caret;
  let tail = 0;
  while (tail < least - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const fromEnd = before.length - caret;
  return fromEnd <= tail ? after.length - fromEnd : Math.min(caret, after.length - tail);
}
