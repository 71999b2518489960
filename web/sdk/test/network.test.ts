import assert from "node:assert/strict";
import { test } from "node:test";
import type { MediaPath } from "../src/media-path.js";
import { StallDetector, UpgradeClock } from "../src/network.js";

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

/** Asks a clock every second by which path media travel, and returns the seconds at which it says that another one should be looked for. */
function upgrades(path: (second: number) => MediaPath | undefined, seconds: number): number[] {
  const clock = new UpgradeClock();
  return Array.from({ length: seconds }, (_, second) => second).filter((second) => clock.isDue(path(second), second * 1000));
}

test("who is not on UDP tries to get there, first soon and then more and more seldom", () => {
  assert.deepEqual(upgrades(() => "turn/tcp", 3_000), [20, 60, 140, 300, 620, 1220, 1820, 2420]);
  assert.deepEqual(upgrades((second) => (second < 5 ? undefined : "tcp"), 100), [25, 65]);
});

test("who is on UDP stays there, and begins anew once he no longer is, where it had lasted", () => {
  assert.deepEqual(upgrades(() => "udp", 3_000), []);
  assert.deepEqual(upgrades((second) => (second > 30 && second < 100 ? "udp" : "tcp"), 200), [20, 120, 160]);
});

test("a UDP that never lasts is tried more and more seldom", () => {
  let udpUntil = 0;
  const clock = new UpgradeClock();
  const tries: number[] = [];
  for (let second = 0; second < 3_600; second += 10) {
    if (!clock.isDue(second < udpUntil ? "udp" : "tcp", second * 1000)) continue;
    tries.push(second);
    udpUntil = second + 15;
  }
  assert.ok(tries.length <= 10, `${tries.join()}`);
});
