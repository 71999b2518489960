// Operations on lists, and what makes one list of another, by the rules of internal/state.

import type { Operation } from "../wire.gen.js";
import { limits } from "../wire.gen.js";
import { badRequest, isArray, type Json, tooMany } from "./json.js";

/** Longer parts that differ are not compared entry by entry. */
export const maxDiffEntries = 2048;

/** One entry's way: inserted, removed, or moved, with exact places. */
export type Step =
  | { readonly op: "insert"; readonly value: string; readonly at: number }
  | { readonly op: "remove"; readonly value: string; readonly at: number }
  | { readonly op: "move"; readonly value: string; readonly at: number; readonly to: number };

/** The entries of a document that is a list; undefined: it is none. */
export function entriesOf(document: Json): readonly string[] | undefined {
  return isArray(document) && document.every((x) => typeof x === "string") ? (document as readonly string[]) : undefined;
}

/** Inserts, removes or moves one entry, in these entries. A place beyond the end is the end; what is not there is not removed or moved. */
export function step(entries: string[], { op, value, at, to }: Operation): void {
  if (typeof value !== "string") throw badRequest("An entry of a list is a string.");
  if ((at ?? 0) < 0 || (to ?? 0) < 0) throw badRequest("A place is below 0.");
  if (op === "move" && to === undefined) throw badRequest("A move does not say where to.");
  if (op === "insert") {
    if (entries.length >= limits.maxElements) throw tooMany();
    entries.splice(at ?? entries.length, 0, value);
    return;
  }
  const found = nearest(entries, value, at ?? 0);
  if (found < 0) return;
  entries.splice(found, 1);
  if (op === "move") entries.splice(to ?? 0, 0, value);
}

/** The place of an equal entry that is nearest to a place, the first of two; -1: there is none. */
export function nearest(entries: readonly string[], value: string, at: number): number {
  const before = entries.lastIndexOf(value, at);
  const after = entries.indexOf(value, at);
  if (before < 0 || after < 0) return Math.max(before, after);
  return at - before <= after - at ? before : after;
}

/**
 * Steps that make one list of the other: removals from the back to the front, then from the front on what is inserted or moved. Of the
 * entries that stay, the longest run that keeps its order is not moved. Undefined: too much differs.
 */
export function diff(from: readonly string[], to: readonly string[]): Step[] | undefined {
  let head = 0;
  while (head < from.length && head < to.length && from[head] === to[head]) head++;
  let tail = 0;
  while (tail < Math.min(from.length, to.length) - head && from[from.length - 1 - tail] === to[to.length - 1 - tail]) tail++;
  const [old, wanted] = [from.slice(head, from.length - tail), to.slice(head, to.length - tail)];
  if (old.length > maxDiffEntries || wanted.length > maxDiffEntries) return undefined;
  const source = pair(old, wanted);
  const kept = new Set(source);
  const steps: Step[] = [];
  const now: number[] = []; // what the list holds meanwhile, as places in old; -1: inserted
  old.forEach((value, i) => {
    if (kept.has(i)) now.push(i);
    else steps.unshift({ op: "remove", value, at: head + i });
  });
  arrange(wanted, source, now, head, steps);
  return steps;
}

function arrange(wanted: readonly string[], source: readonly number[], now: number[], head: number, steps: Step[]): void {
  const stays = increasing(source);
  let cursor = 0; // behind what is in its place
  wanted.forEach((value, k) => {
    const i = source[k] ?? -1;
    if (i < 0) {
      steps.push({ op: "insert", value, at: head + cursor });
      now.splice(cursor++, 0, -1);
      return;
    }
    const at = now.indexOf(i);
    if (stays.has(i)) {
      cursor = at + 1;
      return;
    }
    now.splice(at, 1);
    if (at < cursor) cursor--;
    now.splice(cursor, 0, i);
    if (at !== cursor) steps.push({ op: "move", value, at: head + at, to: head + cursor });
    cursor++;
  });
}

/** For each wanted entry its place before; -1: it has none. Equal entries are the same in their order. */
function pair(old: readonly string[], wanted: readonly string[]): number[] {
  const places = new Map<string, number[]>();
  old.forEach((value, i) => places.set(value, [...(places.get(value) ?? []), i]));
  return wanted.map((value) => places.get(value)?.shift() ?? -1);
}

/** The places that belong to the longest run that grows. */
function increasing(places: readonly number[]): Set<number> {
  const before = new Map<number, number | undefined>();
  const ends: number[] = []; // ends[n] is the smallest place that ends a run of n + 1
  for (const place of places) {
    if (place < 0) continue;
    const n = ends.findIndex((end) => end >= place);
    const run = n < 0 ? ends.length : n;
    before.set(place, ends[run - 1]);
    ends[run] = place;
  }
  const stays = new Set<number>();
  for (let place = ends.at(-1); place !== undefined; place = before.get(place)) stays.add(place);
  return stays;
}
