// A drawing and notes that no server keeps.

import type { Json } from "@parley-rtc/sdk";
import { between } from "../src/pure/lines.js";
import { type Colour, pieceKey, strokeName, thinned } from "../src/pure/strokes.js";
import type { Source } from "../src/state/together.js";

type Members = Readonly<Record<string, Json>>;

/** A record in memory. */
class FakeRecord extends EventTarget implements Source {
  readonly isPending: boolean;
  #members: Members;

  constructor(members: Members, isPending: boolean) {
    super();
    this.#members = members;
    this.isPending = isPending;
  }

  get(): Json {
    return this.#members;
  }

  async patch(changes: Readonly<Record<string, Json | undefined>>): Promise<void> {
    const all = Object.entries({ ...this.#members, ...changes });
    await this.set(Object.fromEntries(all.filter((entry): entry is [string, Json] => entry[1] !== undefined)));
  }

  async set(members: Members): Promise<void> {
    this.#members = members;
    this.dispatchEvent(new Event("change"));
  }
}

export function notesSource(isEmpty: boolean, isPending: boolean): Source {
  const text = [
    "Spring release", "", "1. The plan is as in Mia’s slides; Jonas looks after the translations.", "2. Ten friends try it from 15 March.", "3. What they say is mended until the end of the month.", "",
    "To do", "- Amina asks the friends (this week)", "- Kenji: a test server that has the new certificate",
  ];
  const members: Record<string, Json> = {};
  let place = "";
  for (const line of isEmpty ? [] : text) members[`${(place = between(place, ""))}-mia1`] = line;
  return new FakeRecord(members, isPending);
}

export function boardSource(isEmpty: boolean, isPending: boolean): Source {
  const members: Record<string, Json> = {};
  drawing.forEach(([by, colour, points], i) => {
    if (!isEmpty) members[pieceKey(strokeName(1_700_000_000_000 + i, 0), 0)] = { by, colour, points: thinned(points.map(Math.round), 3) };
  });
  return new FakeRecord(members, isPending);
}

function curve(n: number, at: (t: number) => readonly [number, number]): number[] {
  return Array.from({ length: n + 1 }, (_, i) => at(i / n)).flat();
}

const wobble = (t: number): number => Math.sin(t * 23) * 6;
const box = (x: number, y: number, w: number, h: number): number[] => [x, y, x + w / 2, y + 8, x + w, y, x + w - 6, y + h / 2, x + w, y + h, x + w / 2, y + h - 9, x, y + h, x + 5, y + h / 2, x, y];
const line = (x0: number, y0: number, x1: number, y1: number): number[] => curve(12, (t) => [x0 + (x1 - x0) * t, y0 + (y1 - y0) * t + wobble(t)]);

/** A server, and three who talk through it. */
const drawing: readonly (readonly [by: string, colour: Colour, points: readonly number[]])[] = [
  ["p1", "blue", box(1600, 400, 800, 520)],
  ["p1", "blue", line(1720, 560, 2280, 560)],
  ["p1", "blue", line(1720, 700, 2100, 700)],
  ["p0", "black", curve(40, (t) => [700 + 260 * Math.cos(6.4 * t), 2100 + 250 * Math.sin(6.4 * t)])],
  ["p0", "black", curve(40, (t) => [2000 + 260 * Math.cos(6.4 * t), 2300 + 250 * Math.sin(6.4 * t)])],
  ["p2", "black", curve(40, (t) => [3300 + 260 * Math.cos(6.4 * t), 2100 + 250 * Math.sin(6.4 * t)])],
  ["p1", "red", line(900, 1860, 1640, 1000)],
  ["p1", "red", line(2000, 2020, 2000, 1000)],
  ["p2", "green", line(3100, 1860, 2360, 1000)],
  ["p2", "green", [2360, 1000, 2380, 1120]],
  ["p2", "green", [2360, 1000, 2490, 1040]],
  ["p0", "orange", curve(30, (t) => [2700 + 900 * t, 520 + 90 * Math.sin(12 * t)])],
];
