// Rule: what is pinned is large, else the newest screen, else who is featured; with one other, one's own face floats; nobody is shown twice or not at all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, type Item } from "../src/pure/arrange.js";

const face = (key: string, isLocal = false): Item => ({ key, isLocal, isShare: false });
const share = (key: string): Item => ({ key, isLocal: false, isShare: true });
const [self, ann, bob] = [face("self", true), face("ann"), face("bob")];

test("alone, one's own face is the grid", () => {
  assert.deepEqual(arrange([self], "", ""), { is: "grid", tiles: [self], floating: undefined });
  assert.deepEqual(arrange([self], "self", ""), { is: "grid", tiles: [self], floating: undefined });
});

test("with one other, one's own face floats", () => {
  assert.deepEqual(arrange([self, ann], "", ""), { is: "grid", tiles: [ann], floating: self });
});

test("with more, all are in the grid", () => {
  assert.deepEqual(arrange([self, ann, bob], "", ""), { is: "grid", tiles: [self, ann, bob], floating: undefined });
});

test("the newest screen takes the stage, a pinned tile before it", () => {
  const items = [self, ann, share("first"), bob, share("second")];
  const table: [pinned: string, stage: string][] = [
    ["", "second"],
    ["gone", "second"],
    ["ann", "ann"],
    ["first", "first"],
  ];
  for (const [pinned, stage] of table) {
    const got = arrange(items, pinned, "");
    assert.equal(got.is === "stage" && got.stage.key, stage);
    assert.equal(got.is === "stage" && got.strip.length, items.length - 1);
  }
});

test("in the speaker view whoever is featured takes the stage, unless a screen or a pinned tile does", () => {
  const stageOf = (items: readonly Item[], pinned: string): string => {
    const got = arrange(items, pinned, "bob");
    return got.is === "stage" ? got.stage.key : "";
  };
  assert.equal(stageOf([self, ann, bob], ""), "bob");
  assert.equal(stageOf([self, ann, bob], "ann"), "ann");
  assert.equal(stageOf([self, ann, bob, share("screen")], ""), "screen");
  assert.equal(stageOf([self, ann], ""), "");
});
