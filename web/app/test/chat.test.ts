import assert from "node:assert/strict";
import { test } from "node:test";
import { madeOnce, timeOf, unreadOf } from "../src/pure/chat.js";

const lines = (...ids: string[]) => ids.map((id) => ({ id, isOwn: id.startsWith("own") }));

test("lines of others after the one that was read last are unread, however many are dropped or come before", () => {
  assert.equal(unreadOf(lines("1", "own2", "3"), ""), 2);
  assert.equal(unreadOf(lines("1", "own2", "3"), "1"), 1);
  assert.equal(unreadOf(lines("1", "own2", "3"), "3"), 0);
  assert.equal(unreadOf(lines("2", "3", "4"), "3"), 1); // as many as before, one of them new
  assert.equal(unreadOf(lines("-1", "0", "1", "2"), "2"), 0);
  assert.equal(unreadOf(lines("7", "8"), "3"), 2); // it is not there any more
  assert.equal(unreadOf([], ""), 0);
});

test("what was said on another day has its date", () => {
  const now = new Date(2026, 10, 28, 9, 30);
  assert.equal(timeOf(new Date(2026, 10, 28, 0, 5), now, "en-GB"), "00:05");
  assert.equal(timeOf(new Date(2026, 10, 27, 23, 55), now, "en-GB"), "27 Nov, 23:55");
});

test("each message becomes a line once, and another with the same words is another", () => {
  let times = 0;
  const lineOf = madeOnce(({ text }: { text: string }) => ({ text, number: ++times }));
  const [first, second] = [{ text: "yes" }, { text: "yes" }];
  assert.equal(lineOf(first), lineOf(first));
  assert.notEqual(lineOf(first), lineOf(second));
  assert.equal(times, 2);
});
