// Rules: a room of many shows who speaks large, and a phone needs fewer people for that; who is large changes with who leads only,
// and is never oneself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { camerasAtOnce, featuredOf, type Participant, suitingView } from "../src/pure/many.js";

const [phone, laptop] = [390, 800];

test("few are seen in a grid, many in the speaker view", () => {
  assert.deepEqual([2, 6, 7, 13].map((count) => suitingView(count, phone)), ["grid", "grid", "speaker", "speaker"]);
  assert.deepEqual([2, 7, 12, 13].map((count) => suitingView(count, laptop)), ["grid", "grid", "grid", "speaker"]);
});

test("a phone asks for fewer cameras than a laptop, and for more than its grid shows", () => {
  assert.ok(camerasAtOnce(phone) < camerasAtOnce(laptop));
  for (const side of [phone, laptop]) assert.equal(suitingView(camerasAtOnce(side), side), "speaker");
});

test("who leads is large, and stays so until another one leads, or he goes", () => {
  const people = (leader: string, ...gone: string[]): Participant[] =>
    ["self", "ann", "bob", "eve"].filter((n) => !gone.includes(n)).map((n) => ({ identity: n, isLocal: n === "self", leads: n === leader }));
  assert.equal(featuredOf(people(""), ""), "ann");
  assert.equal(featuredOf(people("eve"), "ann"), "eve");
  assert.equal(featuredOf(people(""), "eve"), "eve");
  assert.equal(featuredOf(people("self"), "eve"), "eve");
  assert.equal(featuredOf(people("self", "eve"), "eve"), "ann");
  assert.equal(featuredOf(people("", "ann", "bob", "eve"), "ann"), "");
});
