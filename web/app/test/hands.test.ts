// Rule: hands are seen in the order in which they were raised, of those who are here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { handsFirst, handsLeft, placeOf, raisedHands } from "../src/pure/hands.js";

const present = new Set(["ann", "bob", "cid"]);

test("hands are those of people who are here, each once, in their order", () => {
  const hands = raisedHands(["eve", "cid", "ann", "cid"], present);
  assert.deepEqual(hands, ["cid", "ann"]);
  assert.deepEqual(["cid", "ann", "bob"].map((i) => placeOf(hands, i)), [1, 2, 0]);
  assert.deepEqual(handsLeft(["eve", "cid", "eve", "dan"], present), ["eve", "dan"]);
});

test("who has raised a hand comes first in the list of people; the others keep their order", () => {
  const people = [0, 2, 0, 1, 0].map((hand, i) => ({ hand, i }));
  assert.deepEqual(handsFirst(people).map((p) => p.i), [3, 1, 0, 2, 4]);
});
