import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { diff, maxDiffEntries, step } from "../src/shared/entries.js";
import { checkName, equal, type Json, payload, take } from "../src/shared/json.js";
import { applyAll } from "../src/shared/patch.js";
import { formatPath, get, parsePath } from "../src/shared/path.js";
import { limits, type Operation } from "../src/wire.gen.js";
import { seeded } from "./seeded.js";

/** Cases that internal/state is tested with too. */
function shared<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../../../../internal/state/testdata/${file}`, import.meta.url), "utf8")) as T;
}

function code(act: () => unknown): string {
  try {
    act();
    return "";
  } catch (reason) {
    if (reason instanceof ParleyError) return reason.code;
    throw reason;
  }
}

const paths = shared<{ same: [string, string][]; bad: string[] }>("paths.json");
const cases = shared<{
  operations: { before: Json; operation: Operation; after: Json }[];
  diffs: { from: string; to: string; steps: number }[];
}>("operations.json");

test("a path is read as the server reads it, and has one way to be written", () => {
  for (const [text, want] of paths.same) {
    assert.equal(formatPath(parsePath(text)), want, text);
    assert.deepEqual(parsePath(want), parsePath(text), text);
  }
  for (const text of paths.bad) assert.equal(code(() => parsePath(text)), "bad-request", text);
});

test("paths have limits, and up to them all is well", () => {
  for (const [fits, tooLarge] of [
    ["", `[".${"\\n".repeat(500)}"]`], // as it is stored: \u000a
    ["ä".repeat(limits.maxPathBytes / 2), "ä".repeat(limits.maxPathBytes / 2) + "x"],
    ["[0]".repeat(limits.maxPathSteps), "[0]".repeat(limits.maxPathSteps + 1)],
  ] as const) {
    assert.equal(code(() => parsePath(fits)), "");
    assert.equal(code(() => parsePath(tooLarge)), "too-large");
  }
});

test("operations do what the server does, and leave what they began with as it was", () => {
  for (const { before, operation, after } of cases.operations) {
    const document = take(before);
    let got: Json;
    try {
      got = applyAll(document, [operation]);
    } catch (reason) {
      got = (reason as ParleyError).code;
    }
    assert.deepEqual(got, after, JSON.stringify([before, operation]));
    assert.deepEqual(document, before);
  }
});

test("a place may be so far behind the end, and a document so deep", () => {
  assert.equal(code(() => applyAll([], [{ op: "set", path: `[${limits.maxArrayGap}]`, value: 1 }])), "");
  assert.equal(code(() => applyAll([], [{ op: "set", path: `[${limits.maxArrayGap + 1}]`, value: 1 }])), "too-large");
  const path = (n: number): string => Array(n).fill("a").join(".");
  assert.equal(code(() => applyAll({}, [{ op: "set", path: path(limits.maxRecordDepth), value: 1 }])), "");
  assert.equal(code(() => applyAll({}, [{ op: "set", path: path(limits.maxRecordDepth), value: [] }])), "too-large");
});

test("operations are all applied, or none", () => {
  const before = take({ a: 1 });
  assert.equal(code(() => applyAll(before, [{ op: "set", path: "b", value: 2 }, { op: "set", path: "a.x", value: 3 }])), "bad-request");
  assert.deepEqual(before, { a: 1 });
  assert.equal(code(() => applyAll(undefined, [{ op: "erase", path: "a" }])), "not-found");
});

test("values are JSON within the limits of documents, and cannot be changed afterwards", () => {
  const deep = (n: number): unknown => (n === 0 ? 0 : [deep(n - 1)]);
  const members = (n: number): unknown => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, 0]));
  for (const [fits, tooLarge] of [
    [deep(limits.maxRecordDepth), deep(limits.maxRecordDepth + 1)],
    [Array(limits.maxElements).fill(0), Array(limits.maxElements + 1).fill(0)],
    [members(limits.maxElements), members(limits.maxElements + 1)],
  ]) {
    assert.equal(code(() => take(fits)), "");
    assert.equal(code(() => take(tooLarge)), "too-large");
  }
  for (const bad of [NaN, Infinity, 1n, Symbol("x"), () => 1, new Date(), new Map(), [undefined], JSON.parse('{"__proto__":1}'), { constructor: 1 }]) {
    assert.equal(code(() => take(bad)), "bad-request", String(bad));
  }
  const mine = { a: [1, { b: -0 }], u: undefined, s: "\ud800" };
  const taken = take(mine);
  mine.a.push(2);
  assert.deepEqual(taken, { a: [1, { b: 0 }], s: "\ufffd" });
  assert.throws(() => (taken as { a: Json[] }).a.push(3), TypeError);
});

test("a value of an event or an RPC is no document: any keys, and as many elements as its bytes allow, but no more levels", () => {
  const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  const keys = '{"__proto__":1,"constructor":{"prototype":2}}';
  assert.equal(JSON.stringify(payload("event", JSON.parse(keys), limits.maxEventBytes).value), keys);
  assert.equal(code(() => payload("event", Array(limits.maxElements + 1).fill(0), limits.maxEventBytes)), "");
  assert.equal(code(() => payload("event", nested(limits.maxRecordDepth), limits.maxEventBytes)), "");
  assert.equal(code(() => payload("event", nested(limits.maxRecordDepth + 1), limits.maxEventBytes)), "too-large");
});

test("names and payloads have limits", () => {
  checkName("ä".repeat(limits.maxStateNameBytes / 2));
  assert.equal(code(() => checkName("ä".repeat(limits.maxStateNameBytes / 2) + "x")), "too-large");
  for (const bad of ["", "a\0", "a\x7f", "a\n", "\ud800"]) assert.equal(code(() => checkName(bad)), "bad-request");
  assert.equal(code(() => payload("event", "x".repeat(limits.maxEventBytes - 2), limits.maxEventBytes)), "");
  assert.equal(code(() => payload("event", "x".repeat(limits.maxEventBytes - 1), limits.maxEventBytes)), "too-large");
});

test("the difference of two lists leads from one to the other, in as many steps as the server takes", () => {
  for (const c of cases.diffs) assert.equal(diff([...c.from], [...c.to])?.length, c.steps, `${c.from} to ${c.to}`);
  const random = seeded(7);
  const list = (): string[] => Array.from({ length: random(10) }, () => "abcde"[random(5)] ?? "");
  for (let i = 0; i < 2000; i++) {
    const [from, to] = [list(), list()];
    const now = [...from];
    for (const s of diff(from, to) ?? []) {
      if (s.op !== "insert") assert.equal(now[s.at], s.value, "places are exact");
      step(now, s);
    }
    assert.deepEqual(now, to);
  }
});

test("lists that differ in too much are not compared further", () => {
  const list = (n: number, x: string): string[] => Array<string>(n).fill(x);
  assert.equal(diff(list(maxDiffEntries, "a"), ["b"])?.length, maxDiffEntries + 1);
  assert.equal(diff(list(maxDiffEntries + 1, "a"), ["b"]), undefined);
  assert.equal(diff(["b"], list(maxDiffEntries + 1, "a")), undefined);
});

test("a full list takes no more", () => {
  const full = Array<string>(limits.maxElements).fill("a");
  const all = [...full];
  assert.equal(code(() => step(all, { op: "insert", value: "b" })), "too-large");
  assert.deepEqual(all, full);
  all.pop();
  step(all, { op: "insert", value: "b" });
  assert.equal(all.length, limits.maxElements);
});

test("equality is that of values, not of the order of members", () => {
  assert.ok(equal(take({ a: 1, b: [{}] }), take({ b: [{}], a: 1 })));
  for (const [a, b] of [[{ a: 1 }, { b: 1 }], [[], {}], [null, {}], [[1], [1, 2]], [{ toString: 1 }, {}], ["1", 1]] as [Json, Json][]) {
    assert.ok(!equal(a, b) && !equal(b, a), JSON.stringify([a, b]));
  }
  assert.equal(get(take({}), ["toString"]), undefined);
});
