import assert from "node:assert/strict";
import { test } from "node:test";
import { firstSlots, grow, SlotTable } from "../src/slots.js";

test("a slot event of a higher generation counts, an older one does not", () => {
  const slots = new SlotTable();
  assert.deepEqual(slots.apply({ mid: "1", generation: 1, identity: "bob", publication: "p1" }), { mid: "1", generation: 1, before: undefined, after: "p1" });
  assert.deepEqual(slots.apply({ mid: "1", generation: 3, identity: "eve", publication: "p2" }), { mid: "1", generation: 3, before: "p1", after: "p2" });
  assert.equal(slots.apply({ mid: "1", generation: 2 }), undefined);
  assert.equal(slots.apply({ mid: "1", generation: 3 }), undefined);
  assert.deepEqual(slots.holder("p2"), { mid: "1", generation: 3 });
  assert.equal(slots.holder("p1"), undefined);
  assert.ok(slots.isCurrent("1", 3));
  assert.ok(!slots.isCurrent("1", 1));
});

test("a resync empties the slots that it does not name", () => {
  const slots = new SlotTable();
  slots.apply({ mid: "1", generation: 4, publication: "p1" });
  slots.apply({ mid: "3", generation: 2, publication: "p2" });
  assert.deepEqual(slots.replace([{ mid: "3", generation: 2, publication: "p2" }, { mid: "5", generation: 1, publication: "p3" }]), [
    { mid: "1", generation: 4, before: "p1", after: undefined },
    { mid: "5", generation: 1, before: undefined, after: "p3" },
  ]);
});

test("a new connection numbers its slots anew", () => {
  const slots = new SlotTable();
  slots.apply({ mid: "1", generation: 9, publication: "p1" });
  slots.clear();
  assert.deepEqual(slots.apply({ mid: "1", generation: 1, publication: "p1" }), { mid: "1", generation: 1, before: undefined, after: "p1" });
});

test("slots are only ever added, and not beyond the limits", () => {
  assert.deepEqual(grow(firstSlots, { pairs: 8, videos: 1 }), { pairs: 8, videos: 2 });
  assert.deepEqual(grow({ pairs: 8, videos: 2 }, { pairs: 4, videos: 4 }), { pairs: 8, videos: 4 });
  assert.deepEqual(grow(firstSlots, { pairs: 1000, videos: 1000 }), { pairs: 24, videos: 8 });
});
