// Rule: a board shows what is a stroke and nothing else, the newest on top; undo takes one's own newest stroke, the eraser whole strokes; a full
// board takes no more.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bytesOf, hasRoom, maxBoardBytes, maxPiecePoints, maxPieces, newestOf, pathOf, pathsOf, pieceKey, strokeName, strokesOf, thinned, touched, type Piece, type Points, type Stroke,
} from "../src/pure/strokes.js";

const piece = (by: string, points: Points, colour: Piece["colour"] = "black"): Piece => ({ by, colour, points });
const [first, second, third] = [1, 2, 3].map((time) => strokeName(1_700_000_000_000 + time, 0.5));
const at = (stroke: string | undefined, n: number): string => pieceKey(stroke ?? "", n);

test("strokes come in the order of time, and their pieces in their own", () => {
  const document = {
    [at(second, 0)]: piece("bob", [1, 1]), [at(first, 35)]: piece("ann", [2, 2]), [at(first, 36)]: piece("ann", [3, 3]), [at(first, 2)]: piece("ann", [1, 2]),
  };
  assert.deepEqual(strokesOf(document).map((s) => s.key), [at(first, 2), at(first, 35), at(first, 36), at(second, 0)]);
});

test("what is no stroke is passed over", () => {
  const long = Array.from({ length: 2 * maxPiecePoints + 4 }, () => 1);
  for (const value of [null, 1, "x", [], {}, { by: "ann", colour: "black" }, piece("ann", []), piece("ann", [1]), piece("ann", [1, Number.NaN]), piece("ann", long),
    { by: 1, colour: "black", points: [1, 1] }, { by: "ann", colour: "url(#x)", points: [1, 1] }, { by: "ann", colour: "black", points: "11" }]) {
    assert.deepEqual(strokesOf({ a: value }), [], JSON.stringify(value));
  }
  for (const document of [undefined, null, "x", [piece("ann", [1, 1])]]) assert.deepEqual(strokesOf(document), []);
});

test("a member is read once, so that what is shown stays the same", () => {
  const kept = piece("ann", [1, 1]);
  const [before] = strokesOf({ a: kept });
  const [after] = strokesOf({ a: kept, b: piece("bob", [1, 1]) });
  assert.equal(before, after);
});

test("undo takes all pieces of the newest stroke of one's own", () => {
  const strokes = strokesOf({ [at(first, 0)]: piece("ann", [1, 1]), [at(second, 0)]: piece("ann", [1, 1]), [at(second, 1)]: piece("ann", [1, 1]), [at(third, 0)]: piece("bob", [1, 1]) });
  assert.deepEqual(newestOf(strokes, "ann"), [at(second, 0), at(second, 1)]);
  assert.deepEqual(newestOf(strokes, "cid"), []);
});

test("the eraser takes whole strokes that it meets between two moves, and no others", () => {
  const strokes = strokesOf({
    [at(first, 0)]: piece("ann", [1000, 0, 1000, 2000]), [at(first, 1)]: piece("ann", [1000, 2000, 3000, 2900]), [at(second, 0)]: piece("bob", [3500, 0, 3500, 900]),
  });
  assert.deepEqual(touched(strokes, [500, 1000], [1500, 1000]), [at(first, 0), at(first, 1)], "across, faster than it is wide");
  assert.deepEqual(touched(strokes, [500, 1000], [900, 1000]), []);
  assert.deepEqual(touched(strokes, [3500, 500], [3500, 500]), [at(second, 0)]);
});

test("all that is there can be wiped, whatever its name", () => {
  const key = at(first, 0);
  assert.deepEqual(pathsOf({ [key]: piece("ann", [1, 1]), "a.b[1]": 1, "": 2 }), [key, '["a.b[1]"]', '[""]']);
  assert.deepEqual(pathsOf({}), []);
});

test("a thinned line has fewer points, and none was farther from it than the tolerance", () => {
  assert.deepEqual(thinned([0, 0, 50, 1, 100, 0], 3), [0, 0, 100, 0]);
  assert.deepEqual(thinned([0, 0, 50, 10, 100, 0], 3), [0, 0, 50, 10, 100, 0]);
  assert.deepEqual(thinned([5, 5], 3), [5, 5]);
  const circle = Array.from({ length: 65 }, (_, i) => [Math.round(1000 * Math.cos(i / 10)), Math.round(1000 * Math.sin(i / 10))]).flat();
  const few = thinned(circle, 30);
  assert.ok(few.length < circle.length / 1.5 && few.length > 20, `${few.length} of ${circle.length}`);
  assert.deepEqual([few.slice(0, 2), few.slice(-2)], [circle.slice(0, 2), circle.slice(-2)]);
});

test("a path begins and ends where the stroke does; a point is a dot", () => {
  assert.equal(pathOf([1, 2]), "M1 2h.1");
  assert.equal(pathOf([1, 2, 3, 4]), "M1 2L3 4");
  assert.equal(pathOf([0, 0, 10, 0, 10, 10]), "M0 0Q10 0 10 5L10 10");
});

test("a board takes no more than it may have, in pieces and in bytes", () => {
  const stroke = (bytes: number): Stroke => ({ key: "k", bytes, ...piece("ann", [1, 1]) });
  assert.equal(hasRoom(Array.from({ length: maxPieces - 1 }, () => stroke(10)), 10), true);
  assert.equal(hasRoom(Array.from({ length: maxPieces }, () => stroke(10)), 10), false);
  assert.equal(hasRoom([stroke(maxBoardBytes - 10)], 10), true);
  assert.equal(hasRoom([stroke(maxBoardBytes - 10)], 11), false);
  const known = piece("Zoë", [1, 22]);
  const members = { ab: known, cd: known };
  assert.ok(2 * bytesOf("ab", known) >= new TextEncoder().encode(JSON.stringify(members)).length - 2, "the bytes of members are counted too low");
});
