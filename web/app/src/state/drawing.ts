// What a hand does on the whiteboard: strokes, which are sent in pieces while they are drawn, or erasing.

import { signal } from "@preact/signals";
import { boardSize, type Colour, maxPiecePoints, maxStrokePieces, pieceKey, type Points, strokeName, thinned, touched } from "../pure/strokes.js";
import type { Board } from "./call.js";

export type Tool = "pen" | "eraser";

export const tool = signal<Tool>("pen");
export const colour = signal<Colour>("black");

/** How long others wait for what is drawn. */
const pieceMs = 250;
/** Nearer to the last point than this, in the board's units, is the same point. */
const leastMove = 7;
/** What is left out of a line deviates no more from it than this. */
const tolerance = 3;

/** One stroke, from down to up. */
export class Drawing {
  /** What is not sent. */
  readonly points = signal<Points>([]);
  readonly colour = colour.peek();
  readonly #board: Board;
  readonly #timer: ReturnType<typeof setInterval>;
  #name = strokeName(Date.now(), Math.random());
  #pieces = 0;
  #isRefused = false; // the board is full, and says so once

  constructor(board: Board, at: Points) {
    this.#board = board;
    this.points.value = at;
    this.#timer = setInterval(() => this.#send(), pieceMs);
  }

  move(x: number, y: number): void {
    const before = this.points.peek();
    if (this.#isRefused) return;
    if (Math.hypot(x - (before.at(-2) ?? x), y - (before.at(-1) ?? y)) < leastMove) return;
    this.points.value = [...before, x, y];
    if (before.length >= 2 * maxPiecePoints) this.#send();
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#isRefused) return;
    if (this.points.peek().length > 2 || this.#pieces === 0) this.#draw();
    this.points.value = [];
  }

  /** What is not sent is not drawn. */
  cancel(): void {
    clearInterval(this.#timer);
    this.points.value = [];
  }

  #send(): void {
    if (this.points.peek().length > 2) this.#draw();
  }

  #draw(): void {
    const points = thinned(this.points.peek(), tolerance);
    if (this.#pieces === maxStrokePieces) [this.#name, this.#pieces] = [strokeName(Date.now(), Math.random()), 0];
    this.#isRefused = !this.#board.draw(pieceKey(this.#name, this.#pieces++), { colour: this.colour, points });
    if (this.#isRefused) clearInterval(this.#timer);
    this.points.value = this.#isRefused ? [] : points.slice(-2); // the next piece goes on from there
  }
}

/** Takes away the strokes that it meets. */
export class Erasing {
  readonly #board: Board;
  #at: Points;

  constructor(board: Board, at: Points) {
    this.#board = board;
    this.#at = at;
    this.move(at[0] ?? 0, at[1] ?? 0);
  }

  /** There is nothing that would wait. */
  cancel(): void {}

  move(x: number, y: number): void {
    const from = this.#at;
    this.#at = [x, y];
    this.#board.erase(touched(this.#board.strokes.peek(), from, this.#at));
  }
}

/** Where a pointer is, in the board's units. */
export function boardPoint(e: { readonly clientX: number; readonly clientY: number }, { left, top, width, height }: DOMRect): [x: number, y: number] {
  const part = (at: number, length: number): number => (length > 0 ? Math.min(1, Math.max(0, at / length)) : 0);
  return [Math.round(part(e.clientX - left, width) * boardSize.width), Math.round(part(e.clientY - top, height) * boardSize.height)];
}
