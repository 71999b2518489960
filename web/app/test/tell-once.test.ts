// Rule: who has not opened something is told once that there is something, until it is opened; who has it open is not told, also when it is closed again.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { signal } from "@preact/signals";
import { tellOnce } from "../src/state/tell-once.js";
import { dismissAll, say, toasts } from "../src/state/toasts.js";

const texts = (): string[] => toasts.value.map((t) => t.text);
const [isThere, isOpen] = [signal(false), signal(false)];
let end: () => void;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  [isThere.value, isOpen.value] = [false, false];
  end = tellOnce(() => isThere.value, () => isOpen.value, () => say("There are notes"));
});
afterEach(() => {
  end();
  dismissAll();
  mock.timers.reset();
});

test("it is told when it is there, and not again", () => {
  assert.deepEqual(texts(), []);
  isThere.value = true;
  assert.deepEqual(texts(), ["There are notes"]);
  dismissAll();
  isThere.value = false;
  isThere.value = true;
  assert.deepEqual(texts(), []);
});

test("who opens it, in whatever way, reads no more that it is there", () => {
  isThere.value = true;
  say("Bob joined");
  isOpen.value = true;
  assert.deepEqual(texts(), ["Bob joined"]);
});

test("who has it open is not told, also when it is closed again", () => {
  isOpen.value = true;
  isThere.value = true;
  isOpen.value = false;
  isThere.value = false;
  isThere.value = true;
  assert.deepEqual(texts(), []);
});
