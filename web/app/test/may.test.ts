// Rule: whoever may do something else than before is told in words what is over, what of it was going on, and what there is now.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type May, rulings, type Use, uses } from "../src/pure/may.js";

const all = Object.fromEntries(uses.map((use) => [use, true])) as May;
const without = (...not: readonly Use[]): May => ({ ...all, ...Object.fromEntries(not.map((use) => [use, false])) });
const told = (before: May, now: May, ...going: readonly Use[]): string[] => rulings(before, now, new Set(going)).map(({ text, next }) => `${text} ${next}`.trim());

test("what stays as it was is not told", () => {
  assert.deepEqual(told(all, { ...all }, "microphone"), []);
});

test("what is over is told in one message, with what of it was on", () => {
  assert.deepEqual(told(all, without("microphone", "camera", "screen", "sound"), "microphone", "camera", "screen", "sound"), [
    "You may no longer speak, show your camera or share your screen. Whoever runs the meeting has decided so. Your microphone and camera are off. Your screen is not shared any more.",
  ]);
  assert.deepEqual(told(all, without("camera"), "microphone"), ["You may no longer show your camera. Whoever runs the meeting has decided so."]);
  assert.deepEqual(told(all, without("sound"), "screen", "sound"), [
    "You may no longer share the sound of your screen. Whoever runs the meeting has decided so. Its sound is not shared any more.",
  ]);
  assert.deepEqual(told(all, without("write", "watch")), [
    "You may no longer write, draw, raise your hand, see the others or hear them. Whoever runs the meeting has decided so.",
  ]);
});

test("what is given is told, and the first device of it can be switched on at once", () => {
  const [given, ...more] = rulings(without("microphone", "camera"), all, new Set());
  assert.deepEqual([given?.text, given?.offers, more.length], ["You may speak and show your camera now.", "microphone", 0]);
  assert.equal(rulings(without("write"), all, new Set())[0]?.offers, undefined);
  assert.equal(rulings(without("screen", "sound"), all, new Set())[0]?.text, "You may share your screen now.");
});

test("a ruling that gives and takes tells both, what is over first", () => {
  assert.deepEqual(told(without("camera"), without("microphone"), "microphone"), [
    "You may no longer speak. Whoever runs the meeting has decided so. Your microphone is off.",
    "You may show your camera now.",
  ]);
});
