import assert from "node:assert/strict";
import { test } from "node:test";
import { StallDetector } from "../src/network.js";

/** Feeds a detector every 100 ms with packets until some time, and returns when it has called the path stalled. */
function stalls(packets: (nowMs: number) => number, untilMs: number): number[] {
  const detector = new StallDetector();
  const out: number[] = [];
  for (let now = 0; now <= untilMs; now += 100) if (detector.update(packets(now), now)) out.push(now);
  return out;
}

test("a path on which packets came steadily has stalled once none has come for 600 ms; it is told once", () => {
  assert.deepEqual(stalls((now) => Math.min(now, 5_000), 60_000), [5_600]);
});

test("a path on which packets come seldom, or have come for a short time, does not stall", () => {
  assert.deepEqual(stalls((now) => now - (now % 700), 60_000), []);
  assert.deepEqual(stalls((now) => Math.min(now, 1_500), 60_000), []);
  assert.deepEqual(stalls(() => 0, 60_000), []);
});

test("short gaps are no stall, and a path can stall again after it has been steady again", () => {
  assert.deepEqual(stalls((now) => now - (now % 500), 60_000), []);
  assert.deepEqual(stalls((now) => (now < 10_000 ? Math.min(now, 5_000) : Math.min(now, 15_000)), 60_000), [5_600, 15_600]);
});
