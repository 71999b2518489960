// Rule: of a lost connection is told what is known: that it was lost, for how long it is tried again, and that the server restarts only where it has said
// so, and only as long as that may last.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lasting, lossWords } from "../src/pure/loss.js";

const since = 1_800_000_000_000;
const titles = (wasSaid: boolean, isOnline = true): string[] => [0, 9_999, 10_000, 29_999, 30_000, 300_000].map((ms) => lossWords({ since, wasSaid }, since + ms, isOnline).title);

test("a server that has said nothing is not said to restart", () => {
  assert.deepEqual([...new Set(titles(false))], ["The connection was lost"]);
  assert.equal(lossWords({ since, wasSaid: false }, since + 9_999, true).next, "");
  assert.match(lossWords({ since, wasSaid: false }, since + 10_000, true).next, /does not answer: it may be down, or your network/);
});

test("one that has said so restarts for half a minute, and has not come back then", () => {
  assert.deepEqual(titles(true), [...Array<string>(4).fill("The server is restarting"), "The server has not come back", "The server has not come back"]);
});

test("where the device has no network, that is told", () => {
  for (const wasSaid of [true, false]) assert.deepEqual([...new Set(titles(wasSaid, false))], ["This device is offline"]);
});

test("how long it has lasted is told in seconds and minutes", () => {
  assert.deepEqual([-5, 0, 12_900, 59_999, 60_000, 125_000].map(lasting), ["0 s", "0 s", "12 s", "59 s", "1 min 0 s", "2 min 5 s"]);
});
