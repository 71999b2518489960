// Rule: operations that are applied together, and writes that are shown together, copy each object and array that they change once,
// whatever there are of them; no write that waits keeps a document of its own.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ParleyError } from "../src/errors.js";
import { equal, type Json, take } from "../src/shared/json.js";
import { applyAll, type Document } from "../src/shared/patch.js";
import { Replica } from "../src/shared/replica.js";
import { newWrite } from "../src/shared/write.js";
import { limits, type Operation } from "../src/wire.gen.js";
import { seeded } from "./seeded.js";

const nobody = { resolve: () => undefined, reject: () => undefined };

const large = (): Json => take(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, i])));

const sets = (n: number, key: string): Operation[] => Array.from({ length: n }, (_, i) => ({ op: "set", path: `${key}${i}`, value: -i }));

/** How many objects and arrays are made: all of a document are frozen. */
function made(t: TestContext, act: () => void): number {
  const freeze = t.mock.method(Object, "freeze");
  act();
  const count = freeze.mock.callCount();
  freeze.mock.restore();
  return count;
}

function replica(value: Json): Replica {
  const made = new Replica();
  made.take({ name: "board", incarnation: 3, version: 5, value });
  return made;
}

test("operations of one write copy what they change once", (t) => {
  const document = take({ list: [1, 2, 3], a: { b: {} }, other: { untouched: [] } });
  const operations: Operation[] = [
    ...sets(100, "a.b.k"), { op: "erase", path: "a.b.k1" }, { op: "set", path: "list[5]", value: 1 }, { op: "erase", path: "list[0]" }, ...sets(50, "n"), { op: "erase", path: "n7" },
  ];
  let after: Document;
  assert.equal(made(t, () => (after = applyAll(document, operations))), 4, "the root, a, b and the list");
  assert.equal((after as { other: Json }).other, (document as { other: Json }).other);
  assert.equal(made(t, () => applyAll(["a"], Array.from({ length: 256 }, (_, i) => ({ op: "insert", value: `${i}` })))), 1);
});

test("an event of 256 operations with 1,000 writes on their way copies a large record twice: as the server has it, and as it is seen", (t) => {
  const one = replica(large());
  for (const operation of sets(1_000, "mine")) one.add(newWrite([operation], {}, nobody));
  const copies = made(t, () => one.changed({ scope: "room", name: "board", incarnation: 3, version: 6, operations: sets(256, "k"), by: "bob" }));
  assert.equal(copies, 2);
  assert.deepEqual([(one.view as Record<string, Json>)["mine999"], (one.view as Record<string, Json>)["k255"]], [-999, -255]);
});

test("writes that do not fit what others have made of the document are not seen, whole, and the others are", () => {
  const one = replica(take({ a: {}, b: {} }));
  const add = (...operations: Operation[]): void => one.add(newWrite(operations, {}, nobody));
  const set = (path: string, value: Json): Operation => ({ op: "set", path, value });
  add(set("n", 1));
  add(set("c", 1), set("a.x", 1));
  add(set("b.x", 2));
  add(set("d", 1), set("a.y", 1));
  add(set("n", 2));
  one.changed({ scope: "room", name: "board", incarnation: 3, version: 6, operations: [set("a", 7)], by: "bob" });
  assert.deepEqual(one.view, { a: 7, b: { x: 2 }, n: 2 });
});

test("operations together do the same as one after the other, and leave what they began with as it was", () => {
  for (let seed = 1; seed <= 3_000; seed++) {
    const random = seeded(seed * 7919);
    const path = (): string => ["", "a", "a.b", "a[0]", "a[2]", "c", "c.d", "[1]", "a.b.c"][random(9)] ?? "";
    const value = (): Json => [1, null, {}, [], { b: { c: 1 } }, ["x", "y"], { d: [1, 2] }][random(7)] ?? 0;
    const operation = (): Operation => {
      const entry = "xyz"[random(3)] ?? "x";
      return [
        { op: "set", path: path(), value: value() } as const, { op: "set", path: path(), value: value() } as const, { op: "erase", path: path() } as const,
        { op: "insert", value: entry, at: random(3) } as const, { op: "remove", value: entry } as const, { op: "move", value: entry, to: random(3) } as const,
        { op: "entries", value: ["z", "x"] } as const,
      ][random(7)] as Operation;
    };
    const operations = Array.from({ length: 1 + random(6) }, operation);
    const nothing = operations[0]?.op === "erase" ? take({}) : undefined;
    const document = [take({ a: { b: 1 }, c: [] }), take([1, { b: {} }]), take(["x", "y"]), nothing][random(4)];
    const text = JSON.stringify(document);
    const together = outcome(() => applyAll(document, operations));
    const single = outcome(() => operations.reduce<Document>((d, o) => applyAll(d, [o]), document));
    assert.ok(together === single || (typeof together !== "string" && typeof single !== "string" && equal(together, single)), `seed ${seed}: ${JSON.stringify([document, operations])}`);
    assert.equal(JSON.stringify(document), text);
    assert.ok(typeof together === "string" || isFrozen(together), `seed ${seed}`);
  }
});

/** The document, or a string: the code of what it throws. */
function outcome(act: () => Document): Document {
  try {
    return act();
  } catch (reason) {
    if (reason instanceof ParleyError) return reason.code;
    throw reason;
  }
}

function isFrozen(value: Document): boolean {
  return typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every((x) => isFrozen(x as Json)));
}

test("an object takes no more members than it may have, counted also where some were erased", () => {
  const full = take(Object.fromEntries(Array.from({ length: limits.maxElements }, (_, i) => [`k${i}`, 0])));
  assert.equal(outcome(() => applyAll(full, [{ op: "set", path: "one", value: 1 }])), "too-large");
  assert.equal(outcome(() => applyAll(full, [{ op: "erase", path: "k1" }, { op: "set", path: "one", value: 1 }, { op: "set", path: "two", value: 1 }])), "too-large");
  assert.notEqual(outcome(() => applyAll(full, [{ op: "set", path: "k1", value: 1 }, { op: "erase", path: "k1" }, { op: "set", path: "one", value: 1 }])), "too-large");
});
