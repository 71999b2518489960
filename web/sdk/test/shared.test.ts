import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ConflictError, ParleyError } from "../src/errors.js";
import type { Json } from "../src/shared/json.js";
import { maxFailureBytes, maxRestored, maxWaitingBytes, maxWaitingWrites, maxWritesUnderway } from "../src/shared/limits.js";
import { applyAll } from "../src/shared/patch.js";
import { get } from "../src/shared/path.js";
import { maxMerges } from "../src/shared/write.js";
import { limits, type Operation } from "../src/wire.gen.js";
import { pass, settle } from "./fake-server.js";
import { answer, asked, board, changed, code, expire, open, record, stateLost } from "./shared-room.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("a record is subscribed to once, and shows what the server tells", async () => {
  const all = await open();
  const rec = await record(all, { a: { b: 1 }, l: [] });
  assert.deepEqual(all.server.last.body, { records: [{ name: "board" }] });
  assert.equal(rec.get("a.b"), 1);
  assert.equal(rec.version, 5);
  const again = await all.state.record("board");
  assert.equal(asked(all.server, "record-subscribe").length, 1);
  changed(all.server, 6, [{ op: "set", path: "a.b", value: 2 }, { op: "erase", path: "l" }]);
  assert.deepEqual([rec.get(), again.get(), rec.version], [{ a: { b: 2 } }, { a: { b: 2 } }, 6]);
  rec.close();
  assert.equal(asked(all.server, "record-unsubscribe").length, 0);
  again.close();
  await settle();
  assert.deepEqual(all.server.last.body, { records: [{ name: "board" }] });
  assert.equal(all.server.last.type, "record-unsubscribe");
});

test("a subscription to a path is told of a deep change there, and of nothing else", async () => {
  const all = await open();
  const rec = await record(all, { a: { b: [1] }, c: 1 });
  const told: unknown[] = [];
  const end = rec.subscribe("a", (value) => told.push(value));
  changed(all.server, 6, [{ op: "set", path: "c", value: 2 }]);
  changed(all.server, 7, [{ op: "set", path: "a", value: { b: [1] } }]);
  assert.deepEqual(told, []);
  changed(all.server, 8, [{ op: "set", path: "a.b[0]", value: 2 }]);
  changed(all.server, 9, [{ op: "erase", path: "a" }]);
  assert.deepEqual(told, [{ b: [2] }, undefined]);
  end();
  changed(all.server, 10, [{ op: "set", path: "a", value: 1 }]);
  assert.equal(told.length, 2);
});

test("an event that is not above what is here is ignored; one that cannot follow is met by subscribing again", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  changed(all.server, 5, [{ op: "set", path: "a", value: 9 }]);
  changed(all.server, 6, [{ op: "set", path: "a", value: 9 }], 2);
  assert.deepEqual([rec.get("a"), rec.version], [1, 5]);
  changed(all.server, 7, [{ op: "set", path: "a", value: 7 }]);
  await settle();
  assert.deepEqual(all.server.last.body, { records: [{ name: "board", incarnation: 3, version: 5 }] });
  all.server.reply("records", { results: [{ record: board(8, { a: 7, b: 8 }) }] });
  await settle();
  changed(all.server, 9, [{ op: "set", path: "a", value: 9 }]);
  assert.deepEqual([rec.get(), rec.version], [{ a: 9, b: 8 }, 9]);
});

test("what is deleted and made again begins with version 1, and only of a newer incarnation", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  all.server.send({ type: "record-deleted", body: { scope: "room", name: "board", incarnation: 3, version: 5 } });
  assert.deepEqual([rec.exists, rec.version, rec.get()], [false, 0, undefined]);
  changed(all.server, 1, [{ op: "set", path: "old", value: 1 }], 3);
  assert.equal(rec.exists, false);
  changed(all.server, 1, [{ op: "set", path: "x", value: 1 }], 4);
  assert.deepEqual([rec.get(), rec.version], [{ x: 1 }, 1]);
});

test("a write is seen at once, names its incarnation, and is confirmed by the server", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const done = rec.set("a", 2);
  await settle();
  assert.deepEqual([rec.get("a"), rec.version, rec.isPending], [2, 5, true]);
  assert.deepEqual(all.server.last.body, { name: "board", incarnation: 3, operations: [{ op: "set", path: "a", value: 2 }] });
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  assert.deepEqual([rec.get("a"), rec.isPending], [2, true]); // its version is not here
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  await done;
  assert.deepEqual([rec.get("a"), rec.version, rec.isPending], [2, 6, false]);
});

test("writes that come while one is underway go together; where that is refused, each alone", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const outcomes = [code(rec.set("a", 2)), code(rec.set("b", 1)), code(rec.erase("c")), code(rec.patch({ d: 1, a: undefined }))];
  await settle();
  assert.equal(asked(all.server, "record-write").length, 1);
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  const together = all.server.last.body as { operations: object[] };
  assert.equal(together.operations.length, 4);
  all.server.refuse("forbidden");
  await settle();
  assert.deepEqual((all.server.last.body as typeof together).operations, [{ op: "set", path: "b", value: 1 }]);
  all.server.refuse("forbidden");
  await settle();
  assert.equal(rec.get("b"), undefined);
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  all.server.reply("written", { incarnation: 3, version: 8 });
  for (const version of [6, 7, 8]) changed(all.server, version, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  assert.deepEqual(await Promise.all(outcomes), ["", "forbidden", "", ""]);
});

test("a write that is refused is undone here", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const told: unknown[] = [];
  rec.subscribe("a", (value) => told.push(value));
  const outcome = code(rec.set("a", 2));
  await settle();
  all.server.refuse("forbidden");
  assert.equal(await outcome, "forbidden");
  assert.deepEqual(told, [2, 1]);
});

test("what cannot be is refused before it is sent", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  assert.equal(await code(rec.set("a.b", 1)), "bad-request");
  assert.equal(await code(rec.set("a..b", 1)), "bad-request");
  assert.equal(await code(rec.set({ a: new Date() } as never)), "bad-request");
  assert.equal(await code(rec.patch({})), "bad-request");
  const many = (n: number): object => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i]));
  assert.equal(await code(rec.patch(many(limits.maxWriteOperations + 1) as never)), "limit");
  assert.equal(await code(rec.set("a", "漢".repeat(limits.maxRecordBytes / 3))), "too-large");
  assert.equal(asked(all.server, "record-write").length, 0);
  void rec.patch(many(limits.maxWriteOperations) as never);
  await settle();
  assert.equal((all.server.last.body as { operations: object[] }).operations.length, limits.maxWriteOperations);
});

test("too fast: the write waits as long as the server says, and keeps its place", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const [first, second] = [code(rec.set("a", 2)), code(rec.set("a", 3))];
  await settle();
  all.server.refuse("rate", { retrySeconds: 2 });
  await pass(1_900);
  assert.equal(asked(all.server, "record-write").length, 1);
  await pass(200);
  assert.deepEqual((all.server.last.body as { operations: object[] }).operations.map((o) => (o as { value: number }).value), [2, 3]);
  all.server.reply("written", { incarnation: 3, version: 6 });
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }, { op: "set", path: "a", value: 3 }], 3, "ann");
  assert.deepEqual([await first, await second, rec.get("a")], ["", "", 3]);
});

const conflicting = { version: 5 };

test("set(value) replaces what was seen where it is said how to merge, one's own writes included; else whatever is there", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 }, { merge: (remote, local) => ({ remote: remote ?? null, local: local ?? null }) });
  const writes = [rec.set({ a: 2 }), rec.set({ a: 3 }), rec.set({ a: 4 }), rec.set("b", 5)];
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", version: 5, incarnation: 3, operations: [{ op: "set", value: { a: 2 } }] });
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", version: 6, incarnation: 3, operations: [{ op: "set", value: { a: 3 } }, { op: "set", value: { a: 4 } }] });
  const behind = rec.set({ a: 6 });
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", incarnation: 3, operations: [{ op: "set", path: "b", value: 5 }] });
  all.server.reply("written", { incarnation: 3, version: 9 }); // somebody else has made version 8
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", version: 7, incarnation: 3, operations: [{ op: "set", value: { a: 6 } }] });
  all.server.refuse("conflict", { current: board(9, { a: 7, b: 5 }) });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", version: 9, incarnation: 3, operations: [{ op: "set", value: { remote: { a: 7, b: 5 }, local: { a: 6 } } }] });
  all.server.reply("written", { incarnation: 3, version: 10 });
  await settle();
  changed(all.server, 10, [{ op: "set", value: rec.get() }]);
  await Promise.all([...writes, behind]);
  void rec.delete();
  await settle();
  const anew = rec.set({ a: 1 });
  all.server.reply("ok", {});
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", version: 0, operations: [{ op: "set", value: { a: 1 } }] });
  all.server.reply("written", { incarnation: 4, version: 1 });
  changed(all.server, 1, [{ op: "set", value: { a: 1 } }], 4);
  await anew;

  const other = await open();
  const plain = await record(other, { a: 1 });
  void plain.set({ a: 2 });
  await settle();
  assert.deepEqual(other.server.last.body, { name: "board", incarnation: 3, operations: [{ op: "set", value: { a: 2 } }] });
});

test("who subscribes is told by whom a value is another, and with which version; and what is there at first, if he wants that", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const [told, whole]: [unknown[], unknown[]] = [[], []];
  rec.subscribe("a", (value, { by, version }) => told.push([value, by, version]), { now: true });
  const end = rec.subscribe((value, { by }) => whole.push([value, by]), { now: true });
  assert.deepEqual([told.splice(0), whole.splice(0)], [[[1, undefined, 5]], [[{ a: 1 }, undefined]]]);
  end();
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }]);
  const unsubscribe = rec.subscribe("a", (value) => value === 2 && void code(rec.set("a", 3)), { now: true });
  assert.deepEqual(told.splice(0), [[2, "bob", 6], [3, "ann", 6]]);
  unsubscribe();
  await settle();
  all.server.refuse("forbidden");
  await settle();
  assert.deepEqual(told.splice(0), [[2, undefined, 6]], "undone");
  stateLost(all.server);
  await answer(all.server, board(8, { a: 4 }));
  assert.deepEqual(told.splice(0), [[4, undefined, 8]], "read anew");
  all.server.send({ type: "record-deleted", body: { scope: "room", name: "board", incarnation: 3, version: 8, by: "cid" } });
  assert.deepEqual([told.splice(0), whole], [[[undefined, "cid", 0]], []]);
});

test("a conflict: the remote value stays, unless it was said otherwise", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const write = rec.set("a", 2, conflicting);
  await settle();
  assert.equal((all.server.last.body as { version: number }).version, 5);
  all.server.refuse("conflict", { current: board(6, { a: 9 }) });
  await assert.rejects(write, (e: unknown) => e instanceof ConflictError && e.current?.version === 6 && e.next !== undefined);
  assert.deepEqual([rec.get("a"), rec.version], [9, 6]);
});

test("a conflict: the local value is written all the same", async () => {
  const all = await open();
  const rec = await record(all, { a: 1, b: 1 }, { merge: "local" });
  const write = rec.set("a", 2, conflicting);
  await settle();
  all.server.refuse("conflict", { current: board(6, { a: 9, b: 9 }) });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", incarnation: 3, operations: [{ op: "set", path: "a", value: 2 }] });
  all.server.reply("written", { incarnation: 3, version: 7 });
  changed(all.server, 7, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  await write;
  assert.deepEqual(rec.get(), { a: 2, b: 9 });
});

test("a conflict: a function merges, and is asked so often", async () => {
  const all = await open();
  const merge = (remote: unknown, local: unknown): object => ({ remote, local }) as never;
  const rec = await record(all, { a: 1 }, { merge: merge as never });
  const write = code(rec.set("a", 2, conflicting));
  await settle();
  for (let i = 0; i < maxMerges; i++) {
    all.server.refuse("conflict", { current: board(6 + i, { a: 10 + i }) });
    await settle();
    const { version, operations } = all.server.last.body as { version: number; operations: { value: object }[] };
    assert.equal(version, 6 + i);
    assert.deepEqual(operations, [{ op: "set", value: { remote: { a: 10 + i }, local: { a: 2 } } }]);
  }
  all.server.refuse("conflict", { current: board(99, { a: 99 }) });
  assert.equal(await write, "conflict");
  assert.deepEqual(rec.get(), { a: 99 });
});

test("a merge that throws ends the write with what it threw", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 }, { merge: () => { throw new Error("no idea"); } });
  const write = rec.set("a", 2, conflicting);
  await settle();
  all.server.refuse("conflict", { current: board(6, { a: 9 }) });
  await assert.rejects(write, /no idea/);
  assert.deepEqual(rec.get(), { a: 9 });
});

test("what was meant for a deleted record does not change its successor", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const write = code(rec.set("a", 2));
  await settle();
  all.server.refuse("conflict", { current: board(1, { b: 1 }, 4) });
  assert.equal(await write, "conflict");
  assert.deepEqual(rec.get(), { b: 1 });
  void rec.set("b", 2);
  await settle();
  assert.equal((all.server.last.body as { incarnation: number }).incarnation, 4);
});

test("it is not known whether it was stored: the record is read again, and the write is told", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const write = code(rec.set("a", 2));
  await settle();
  all.server.refuse("internal");
  assert.equal(await write, "internal");
  await settle();
  assert.equal(all.server.last.type, "record-subscribe");
  all.server.reply("records", { results: [{ record: board(6, { a: 2 }) }] });
  await settle();
  assert.deepEqual([rec.get("a"), rec.version], [2, 6]);
});

test("deleting", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const gone = rec.delete();
  assert.equal(rec.exists, false);
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body], ["record-delete", { name: "board", incarnation: 3 }]);
  all.server.reply("ok", {});
  await gone;
  assert.equal(rec.version, 0);
  void rec.set("b", 1);
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", operations: [{ op: "set", path: "b", value: 1 }] });
});

test("whoever creates a record says what it shall be; who finds one does not", async () => {
  const all = await open();
  const options = { durable: true, ttlSeconds: 60, history: 3, merge: "local" } as const;
  const rec = await record(all, undefined, options);
  void rec.set("a", 1);
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", operations: [{ op: "set", path: "a", value: 1 }], durable: true, initial: { ttlSeconds: 60, history: 3 } });
  all.server.reply("written", { incarnation: 3, version: 1 });
  await settle();
  void rec.set("a", 2);
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", incarnation: 3, operations: [{ op: "set", path: "a", value: 2 }] });
});

test("while the connection is lost writes wait, are seen, and are sent when the session goes on", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  all.server.cut();
  const write = code(rec.set("a", 2));
  assert.equal(rec.get("a"), 2);
  await pass(400);
  assert.equal(asked(all.server, "record-write").length, 0);
  all.server.resume();
  await settle();
  assert.equal(asked(all.server, "record-write").length, 1);
  all.server.reply("written", { incarnation: 3, version: 6 });
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  assert.equal(await write, "");
});

test("what waited meets what others wrote meanwhile also where the session goes on: at the same path it is undone, or merged, and not elsewhere", async () => {
  for (const merge of [undefined, (remote: Json | undefined, local: Json | undefined) => ({ remote: get(remote, ["a"]), local: get(local, ["a"]) }) as Json]) {
    const all = await open();
    const rec = await record(all, { a: 1, b: 1 }, merge && { merge });
    all.server.cut();
    const [same, other] = [code(rec.set("a", "old")), code(rec.set("b", 2))];
    await pass(400);
    all.server.resume(1);
    changed(all.server, 6, [{ op: "set", path: "a", value: "new" }]);
    await settle();
    const sets = asked(all.server, "record-write").flatMap((r) => (r.body as { operations: object[] }).operations);
    if (merge) {
      assert.deepEqual(sets, [{ op: "set", value: { remote: "new", local: "old" } }]);
      continue;
    }
    assert.equal(await same, "conflict");
    assert.deepEqual([sets, rec.get("a")], [[{ op: "set", path: "b", value: 2 }], "new"]);
    all.server.reply("written", { incarnation: 3, version: 7 });
    changed(all.server, 7, [{ op: "set", path: "b", value: 2 }], 3, "ann");
    assert.equal(await other, "");
  }
});

test("what waited meets what was told before the server forgot what the session had, too", async () => {
  const all = await open();
  const rec = await record(all, { a: 1, b: 1 });
  all.server.cut();
  const waits = code(rec.set("a", "old"));
  await pass(400);
  all.server.resume(2);
  changed(all.server, 6, [{ op: "set", path: "a", value: "new" }]);
  stateLost(all.server);
  await settle();
  await answer(all.server, { name: "board", incarnation: 3, version: 6, same: true });
  assert.equal(await waits, "conflict");
  assert.equal(asked(all.server, "record-write").length, 0);
});

test("what was on its way when the connection was lost is nobody else's for what waited behind it", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const first = code(rec.set("a", 2));
  await settle();
  all.server.cut();
  const second = code(rec.set("a", 3));
  await pass(400);
  all.server.resume(2);
  all.server.reply("written", { incarnation: 3, version: 6 }, asked(all.server, "record-write")[0]);
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  assert.equal(await first, "");
  await settle();
  all.server.reply("written", { incarnation: 3, version: 7 });
  changed(all.server, 7, [{ op: "set", path: "a", value: 3 }], 3, "ann");
  assert.equal(await second, "");
});

test("what waited for a place in an array is undone where others changed the array: it would be another entry; what they did elsewhere does not matter", async () => {
  const items = [{ of: 0 }, { of: 1, done: false }, { of: 2, done: false }];
  for (const act of ["set", "erase"] as const) {
    for (const path of ["items[0]", "other"]) {
      const all = await open();
      const rec = await record(all, { items, other: 1 });
      all.server.cut();
      const waits = code(act === "set" ? rec.set("items[1].done", true) : rec.erase("items[1]"));
      await pass(400);
      all.server.resume(1);
      changed(all.server, 6, [{ op: "erase", path }]);
      await settle();
      const isSent = asked(all.server, "record-write").length === 1;
      assert.equal(isSent, path === "other", `${act} after ${path}`);
      if (!isSent) assert.equal(await waits, "conflict");
    }
  }
});

test("what a write has become by merging counts among what waits", async () => {
  const all = await open();
  const large = (of: string): string => of.repeat(200_000); // 20 and a little of these may wait
  const rec = await record(all, { a: large("x") }, { merge: "local" });
  all.server.cut();
  void code(rec.set("n", 1));
  await pass(400);
  all.server.resume(1);
  stateLost(all.server);
  await settle();
  await answer(all.server, board(0));
  const refused: string[] = [];
  for (let i = 0; i < 20; i++) void code(rec.set("a", large("y"))).then((why) => refused.push(why));
  await settle();
  assert.deepEqual(refused, ["limit"]);
});

test("what waited while a scope began anew is one write, merged once", async () => {
  for (const merge of ["local", (_: Json | undefined, local: Json | undefined) => local] as const) {
    const all = await open();
    const rec = await record(all, { a: "x".repeat(1000) }, { merge: merge as "local" });
    all.server.cut();
    const waits = Array.from({ length: 50 }, (_, i) => code(rec.set(`k${i}`, i)));
    await pass(400);
    all.server.resume(1);
    stateLost(all.server);
    await settle();
    await answer(all.server, board(0));
    const [write, ...more] = asked(all.server, "record-write");
    assert.equal(more.length, 0);
    const { operations } = write?.body as { operations: Operation[] };
    assert.deepEqual(operations.map(({ path }) => path), merge === "local" ? [undefined, ...Array.from({ length: 49 }, (_, i) => `k${i + 1}`)] : [undefined]);
    assert.deepEqual(applyAll(undefined, operations), rec.get());
    all.server.reply("written", { incarnation: 4, version: 1 }, write);
    changed(all.server, 1, [{ op: "set", value: rec.get() }], 4, "ann");
    assert.deepEqual(new Set(await Promise.all(waits)), new Set([""]));
    assert.equal(asked(all.server, "record-write").length, 1);
  }
});

test("as many writes wait, and as large ones; beyond, the next step is told and nothing has changed", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  all.server.cut();
  for (let i = 0; i < maxWaitingWrites; i++) void code(rec.set("a", i));
  const refused = rec.set("a", "beyond");
  await assert.rejects(refused, (e: unknown) => e instanceof ParleyError && e.code === "limit" && (e.next ?? "").includes("connected"));
  assert.equal(rec.get("a"), maxWaitingWrites - 1);
  all.session.leave();
  const large = await open();
  const other = await record(large, { a: 1 });
  const value = "x".repeat(limits.maxRecordBytes / 2);
  const fits = Math.floor(maxWaitingBytes / (value.length + 64));
  for (let i = 0; i < fits; i++) void code(other.set("a", value));
  assert.equal(await code(other.set("b", value)), "limit");
  assert.equal(other.has("b"), false);
});

test("after a lost session all is subscribed to again, naming what is here; waiting writes are sent where nobody changed that", async () => {
  const all = await open();
  const rec = await record(all, { a: 1, b: 1 });
  all.server.cut();
  const [same, clash] = [code(rec.set("a", 2)), code(rec.set("b", 2))];
  await expire(all.server);
  assert.deepEqual(asked(all.server, "record-subscribe").at(-1)?.body, { records: [{ name: "board", incarnation: 3, version: 5 }] });
  assert.equal(asked(all.server, "record-write").length, 0);
  all.server.reply("records", { results: [{ record: board(8, { a: 1, b: 8 }) }] }, asked(all.server, "record-subscribe").at(-1));
  assert.equal(await clash, "conflict");
  assert.deepEqual((all.server.last.body as { operations: object[] }).operations, [{ op: "set", path: "a", value: 2 }]);
  assert.deepEqual(rec.get(), { a: 2, b: 8 });
  all.server.reply("written", { incarnation: 3, version: 9 });
  changed(all.server, 9, [{ op: "set", path: "a", value: 2 }], 3, "ann");
  assert.equal(await same, "");
});

test("an entry that was perhaps added before the session was lost is not added again", async () => {
  const all = await open();
  const opening = all.state.list("board");
  await settle();
  all.server.reply("records", { results: [{ record: board(5, ["a"]) }] });
  const list = await opening;
  const [perhaps, waiting] = [code(list.add("b")), code(list.add("c"))];
  await settle();
  await expire(all.server);
  all.server.reply("records", { results: [{ record: board(6, ["a", "b"]) }] }, asked(all.server, "record-subscribe").at(-1));
  assert.equal(await perhaps, "connection");
  assert.deepEqual(list.entries, ["a", "b", "c"]);
  await settle();
  all.server.reply("written", { incarnation: 3, version: 7 });
  changed(all.server, 7, [{ op: "insert", value: "c", at: 2 }], 3, "ann");
  assert.equal(await waiting, "");
});

test("a call that waits for the connection is made when it is back, also where the server has forgotten those before it", async () => {
  const { server, state } = await open();
  const before = code(state.rpc("pay").request(1));
  server.cut();
  const waits = state.rpc("pay").request(2);
  await pass(400);
  server.resume(1);
  server.send({ type: "resync", body: { room: { name: "tea" } } });
  await settle();
  assert.equal(await before, "connection");
  const call = asked(server, "rpc-request").at(-1);
  assert.deepEqual(call?.body, { name: "pay", value: 2, call: 2 });
  server.reply("ok", {}, call);
  server.send({ type: "rpc-result", body: { scope: "room", call: 2, value: "paid" } });
  assert.equal(await waits, "paid");
});

for (const lost of [{ type: "state-lost", body: { scope: "room" } }, { type: "resync", body: { room: { name: "tea" } } }]) {
  test(`${lost.type} is met by making everything again`, async () => {
    const all = await open();
    const rec = await record(all, { a: 1 });
    const stops: string[] = [];
    void all.state.event("wave").subscribe(() => undefined);
    void all.state.rpc("add").provide(() => 1);
    void all.state.listen("x*", { start: () => undefined, stop: (name) => stops.push(name) });
    void all.state.presence.watch();
    await settle();
    for (const type of ["event-subscribe", "rpc-provide"]) all.server.reply("subscribed", { results: [{}] }, asked(all.server, type)[0]);
    all.server.reply("ok", {}, asked(all.server, "listen")[0]);
    all.server.reply("present", { identities: ["ann", "bob"] }, asked(all.server, "presence-subscribe")[0]);
    await settle();
    all.server.send({ type: "listen-start", body: { scope: "room", kind: "record", pattern: "x*", names: ["x1"] } });
    const call = code(all.state.rpc("other").request(1));
    const told: string[] = [];
    all.state.presence.addEventListener("join", (e) => told.push(`+${e.identity}`));
    all.state.presence.addEventListener("leave", (e) => told.push(`-${e.identity}`));
    await settle();
    all.server.send(lost);
    await settle();
    for (const type of ["record-subscribe", "event-subscribe", "rpc-provide", "listen", "presence-subscribe"]) {
      assert.equal(asked(all.server, type).length, 2, type);
    }
    assert.equal(await call, "connection");
    assert.deepEqual(stops, ["x1"]);
    all.server.reply("present", { identities: ["ann", "cid"] }, asked(all.server, "presence-subscribe")[1]);
    all.server.reply("records", { results: [{ record: { ...board(5, { a: 1 }), value: undefined, same: true } }] }, asked(all.server, "record-subscribe")[1]);
    await settle();
    assert.deepEqual(told, ["-bob", "+cid"]);
    changed(all.server, 6, [{ op: "set", path: "a", value: 2 }]);
    assert.equal(rec.get("a"), 2);
  });
}

test("records are restored in requests of so many; what one reply has no room for is asked for alone", async () => {
  const all = await open();
  const names = Array.from({ length: maxRestored + 1 }, (_, i) => `r${i}`);
  const opening = names.map((name) => all.state.record(name));
  await settle();
  for (const r of asked(all.server, "record-subscribe")) all.server.reply("records", { results: [{ record: board(0) }] }, r);
  await Promise.all(opening);
  const before = asked(all.server, "record-subscribe").length;
  all.server.send({ type: "state-lost", body: { scope: "room" } });
  await settle();
  const requests = asked(all.server, "record-subscribe").slice(before);
  assert.deepEqual(requests.map((r) => (r.body as { records: object[] }).records.length), [maxRestored, 1]);
  const limit = { error: { code: "limit", message: "too large together" } };
  all.server.reply("records", { results: names.slice(0, maxRestored).map((_, i) => (i === 7 ? limit : { record: board(0) })) }, requests[0]);
  await settle();
  assert.deepEqual(all.server.last.body, { records: [{ name: "r7" }] });
});

test("so many records are written at once", async () => {
  const all = await open();
  const names = Array.from({ length: maxWritesUnderway + 1 }, (_, i) => `r${i}`);
  const opening = names.map((name) => all.state.record(name));
  await settle();
  for (const r of asked(all.server, "record-subscribe")) all.server.reply("records", { results: [{ record: board(0) }] }, r);
  for (const rec of await Promise.all(opening)) void code(rec.set("a", 1));
  await settle();
  const writes = asked(all.server, "record-write");
  assert.equal(writes.length, maxWritesUnderway);
  all.server.reply("written", { incarnation: 1, version: 1 }, writes[0]);
  await settle();
  assert.equal(asked(all.server, "record-write").length, maxWritesUnderway + 1);
});

test("what is not allowed rejects; what is not allowed any more ends", async () => {
  const all = await open();
  const refused = code(all.state.record("secret"));
  await settle();
  all.server.reply("records", { results: [{ error: { code: "forbidden", message: "no" } }] });
  assert.equal(await refused, "forbidden");
  const rec = await record(all, { a: 1 });
  const ended: string[] = [];
  rec.addEventListener("ended", (e) => ended.push(e.error.code));
  const write = code(rec.set("a", 2));
  all.server.send({ type: "state-unsubscribed", body: { scope: "room", kind: "record", name: "board", error: { code: "forbidden", message: "no" } } });
  assert.equal(await write, "forbidden");
  assert.deepEqual(ended, ["forbidden"]);
  assert.equal(await code(rec.set("a", 3)), "forbidden");
});

test("the end of the session ends all of it", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const outcomes = [rec.set("a", 2), all.state.event("x").subscribe(() => undefined), all.state.rpc("x").request(), all.state.record("other")].map(code);
  all.session.leave();
  assert.deepEqual(await Promise.all(outcomes), ["left", "left", "left", "left"]);
});

test("scopes do not see one another", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const opening = all.other.record("board");
  await settle();
  assert.deepEqual(all.server.last.body, { scope: "server", records: [{ name: "board" }] });
  all.server.reply("records", { results: [{ record: board(5, { a: 1 }) }] });
  const shared = await opening;
  all.server.send({ type: "record-changed", body: { scope: "server", name: "board", incarnation: 3, version: 6, operations: [{ op: "set", path: "a", value: 2 }] } });
  assert.deepEqual([rec.get("a"), shared.get("a")], [1, 2]);
});

test("reading once: has, head, snapshot, and the history", async () => {
  const all = await open();
  const { server, state } = all;
  const rec = await record(all, { a: 1 });
  const reads = [state.has("x"), state.snapshot("x", 'a["b"]'), rec.history(2)];
  const heads = [state.head("x"), state.head("y")];
  await settle();
  const none = { error: { code: "not-found", message: "none" } };
  const [has, snapshot, history, head, missing] = asked(server, "record-read");
  assert.deepEqual(snapshot?.body, { records: [{ name: "x", path: "a.b" }] });
  assert.deepEqual(history?.body, { records: [{ name: "board", version: 4 }, { name: "board", version: 3 }] });
  server.reply("records", { results: [none] }, has);
  server.reply("records", { results: [{ record: { name: "x", incarnation: 1, version: 2, value: [1] } }] }, snapshot);
  server.reply("records", { results: [{ record: board(4, { a: 0 }) }, none] }, history);
  server.reply("records", { results: [{ record: { name: "x", incarnation: 1, version: 2, expires: "2026-01-01T00:00:00Z" } }] }, head);
  server.reply("records", { results: [none] }, missing);
  assert.deepEqual(await Promise.all(reads), [false, [1], [{ version: 4, value: { a: 0 } }]]);
  assert.deepEqual(await heads[0], { version: 2, expires: new Date("2026-01-01T00:00:00Z") });
  assert.equal(await code(heads[1] as Promise<unknown>), "not-found");
});

test("a list: what differs is written, and told entry by entry", async () => {
  const all = await open();
  const opening = all.state.list("board");
  await settle();
  all.server.reply("records", { results: [{ record: board(5, ["a", "b", "c"]) }] });
  const list = await opening;
  const told: string[] = [];
  list.addEventListener("entryadded", (e) => told.push(`+${e.entry}@${e.at}`));
  list.addEventListener("entryremoved", (e) => told.push(`-${e.entry}@${e.at}`));
  list.addEventListener("entrymoved", (e) => told.push(`${e.entry}@${e.at}>${e.to}`));
  void list.set(["b", "c", "a", "d"]);
  await settle();
  assert.deepEqual(told, ["a@0>2", "+d@3"]);
  assert.deepEqual((all.server.last.body as { operations: object[] }).operations, [
    { op: "move", value: "a", at: 0, to: 2 },
    { op: "insert", value: "d", at: 3 },
  ]);
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  const many = Array.from({ length: limits.maxWriteOperations + 1 }, (_, i) => `n${i}`);
  void list.set([...list.entries, ...many.slice(1)]);
  await settle();
  assert.equal((all.server.last.body as { operations: object[] }).operations.length, limits.maxWriteOperations);
});

test("a list: what differs in too much to name is left to the server, with the version that it was made from", async () => {
  const all = await open();
  const opening = all.state.list("board");
  await settle();
  all.server.reply("records", { results: [{ record: board(5, ["a"]) }] });
  const list = await opening;
  const many = Array.from({ length: limits.maxWriteOperations + 1 }, (_, i) => `n${i}`);
  void list.set(["a", ...many]);
  await settle();
  assert.deepEqual((all.server.last.body as { operations: object[] }).operations, [{ op: "entries", value: ["a", ...many], base: 5 }]);
});

test("events: published, told to each listener, and unsubscribed when the last has gone", async () => {
  const all = await open();
  const topic = all.state.event("wave");
  const told: unknown[] = [];
  const subscribing = [topic.subscribe((value, { from }) => told.push([value, from])), topic.subscribe(() => told.push("too"))];
  await settle();
  all.server.reply("subscribed", { results: [{ name: "wave" }] });
  const [one, two] = await Promise.all(subscribing);
  assert.equal(asked(all.server, "event-subscribe").length, 1);
  all.server.send({ type: "event", body: { scope: "room", name: "wave", value: { hand: "left" }, from: "bob" } });
  all.server.send({ type: "event", body: { scope: "room", name: "other", value: 1 } });
  assert.deepEqual(told, [[{ hand: "left" }, "bob"], "too"]);
  const published = topic.publish({ hand: "right" });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "wave", value: { hand: "right" } });
  all.server.reply("ok", {});
  await published;
  one?.();
  assert.equal(asked(all.server, "event-unsubscribe").length, 0);
  two?.();
  await settle();
  assert.equal(asked(all.server, "event-unsubscribe").length, 1);
  assert.equal(await code(all.state.event("").publish()), "bad-request");
});

test("a subscription that waits is made in the next session", async () => {
  const all = await open();
  const subscribing = all.state.event("wave").subscribe(() => undefined);
  await settle();
  await expire(all.server);
  const again = asked(all.server, "event-subscribe").at(-1);
  all.server.reply("subscribed", { results: [{ name: "wave" }] }, again);
  assert.equal(await code(subscribing), "");
});

test("RPC: the result may come before the request is answered", async () => {
  const all = await open();
  const calls = [all.state.rpc("add").request([2, 3]), all.other.rpc("add").request()];
  await settle();
  const [first, second] = asked(all.server, "rpc-request");
  assert.deepEqual(first?.body, { name: "add", value: [2, 3], call: 1 });
  assert.deepEqual(second?.body, { scope: "server", name: "add", call: 2 });
  all.server.send({ type: "rpc-result", body: { scope: "room", call: 1, value: 5 } });
  all.server.reply("ok", {}, first);
  all.server.reply("ok", {}, second);
  all.server.send({ type: "rpc-result", body: { scope: "server", call: 2, error: { code: "no-provider", message: "nobody" } } });
  assert.equal(await calls[0], 5);
  assert.equal(await code(calls[1] as Promise<unknown>), "no-provider");
});

test("RPC: so many calls are without a result", async () => {
  const all = await open();
  for (let i = 0; i < limits.maxOpenCalls; i++) void code(all.state.rpc("x").request(i));
  assert.equal(await code(all.state.rpc("x").request(0)), "limit");
  await settle();
  all.server.send({ type: "rpc-result", body: { scope: "room", call: 1 } });
  void code(all.state.rpc("x").request(0));
  await settle();
  assert.equal(asked(all.server, "rpc-request").length, limits.maxOpenCalls + 1);
});

test("RPC: a provider begins when the server has agreed, answers with a value or a failure, and may leave a call to others", async () => {
  const all = await open();
  const begun: unknown[] = [];
  const providing = all.state.rpc("add").provide(
    async (value, { from }) => {
      begun.push([value, from]);
      if (value === "long") throw new Error("ä".repeat(maxFailureBytes));
      return { sum: 5 };
    },
    { accepts: (value) => value !== "not me" },
  );
  await settle();
  all.server.reply("subscribed", { results: [{ name: "add" }] });
  const end = await providing;
  assert.equal(await code(all.state.rpc("add").provide(() => 0)), "bad-request");
  const call = (number: number, value: unknown): void => all.server.send({ type: "rpc-call", body: { scope: "room", name: "add", call: number, value, from: "bob" } });
  call(77, [2, 3]);
  await settle();
  assert.deepEqual([all.server.last.type, begun.length], ["rpc-accept", 0]);
  all.server.reply("ok", {});
  await settle();
  assert.deepEqual([all.server.last.body, begun], [{ call: 77, value: { sum: 5 } }, [[[2, 3], "bob"]]]);
  call(78, "long");
  await settle();
  all.server.reply("ok", {});
  await settle();
  assert.equal((all.server.last.body as { failure: string }).failure, "ä".repeat(maxFailureBytes / 2));
  call(79, "not me");
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body], ["rpc-reject", { call: 79 }]);
  call(80, "late");
  await settle();
  all.server.refuse("not-found");
  await settle();
  assert.equal(begun.length, 2);
  end();
  await settle();
  assert.equal(all.server.last.type, "rpc-unprovide");
});

test("listening: names begin and end, and false leaves one to the next provider", async () => {
  const all = await open();
  const told: string[] = [];
  const listening = all.state.listen("stock/*", {
    start: (name) => (told.push(`+${name}`), name !== "stock/bad"),
    stop: (name) => void told.push(`-${name}`),
  });
  await settle();
  assert.deepEqual(all.server.last.body, { kind: "record", pattern: "stock/*" });
  all.server.reply("ok", {});
  const end = await listening;
  const say = (type: string, ...names: string[]): void => all.server.send({ type, body: { scope: "room", kind: "record", pattern: "stock/*", names } });
  say("listen-start", "stock/a", "stock/bad");
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body], ["listen-reject", { kind: "record", name: "stock/bad" }]);
  say("listen-stop", "stock/bad", "stock/a");
  say("listen-start", "stock/b");
  end();
  assert.deepEqual(told, ["+stock/a", "+stock/bad", "-stock/a", "+stock/b", "-stock/b"]);
  assert.equal(all.server.last.type, "unlisten");
});

test("presence: a long list is read page by page, without those who leave meanwhile", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch();
  await settle();
  all.server.reply("present", { identities: ["ann", "bob"], more: true });
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body], ["presence-read", { after: "bob" }]);
  all.server.send({ type: "presence-left", body: { scope: "room", identity: "ann" } });
  all.server.send({ type: "presence-joined", body: { scope: "room", identity: "cid" } });
  all.server.reply("present", { identities: ["cid", "dan"] });
  assert.deepEqual([...(await watching)].sort(), ["bob", "cid", "dan"]);
  assert.deepEqual([...presence.present].sort(), ["bob", "cid", "dan"]);
});

test("presence: of those named, who may not be watched is not; where none may, that is an error", async () => {
  const all = await open();
  const { presence } = all.state;
  const ended: string[] = [];
  presence.addEventListener("ended", (e) => ended.push(e.error.code));
  const refused = [{ name: "bob", error: { code: "forbidden", message: "" } }];
  const watching = presence.watch(["ann", "bob"]);
  await settle();
  all.server.reply("present", { identities: ["ann"], refused });
  assert.deepEqual(await watching, ["ann"]);
  assert.deepEqual(ended, ["forbidden"]);
  all.server.send({ type: "presence-joined", body: { scope: "room", identity: "bob" } });
  assert.deepEqual([...presence.present], ["ann"]);
  const listed = presence.list(["bob"]);
  await settle();
  all.server.reply("present", { identities: [], refused });
  await assert.rejects(listed, { code: "forbidden" });
});

test("presence: list reads once, watch tells from then on", async () => {
  const all = await open();
  const { presence } = all.state;
  const listed = presence.list();
  await settle();
  assert.equal(all.server.last.type, "presence-read");
  all.server.reply("present", { identities: ["ann"] });
  assert.deepEqual(await listed, ["ann"]);
  const told: string[] = [];
  presence.addEventListener("join", (e) => told.push(`+${e.identity}`));
  presence.addEventListener("leave", (e) => told.push(`-${e.identity}`));
  const watching = presence.watch(["bob", "cid"]);
  await settle();
  all.server.reply("present", { identities: ["bob"] });
  assert.deepEqual(await watching, ["bob"]);
  const say = (type: string, identity: string): void => all.server.send({ type, body: { scope: "room", identity } });
  say("presence-joined", "bob");
  say("presence-joined", "cid");
  say("presence-left", "bob");
  assert.deepEqual(told, ["+cid", "-bob"]);
  assert.deepEqual([...presence.present], ["cid"]);
  void presence.unwatch(["cid"]);
  assert.deepEqual([...presence.present], []);
});

test("the event of a write that was answered hides none that is underway since", async () => {
  const all = await open();
  const rec = await record(all, {});
  const views: unknown[] = [];
  rec.subscribe((value) => views.push(value));
  const first = rec.set("a", 1);
  await settle();
  const [write] = asked(all.server, "record-write");
  all.server.reply("written", { incarnation: 3, version: 6 }, write);
  await settle();
  void rec.set("b", 2);
  await settle();
  assert.equal(asked(all.server, "record-write").length, 2);
  changed(all.server, 6, [{ op: "set", path: "a", value: 1 }], 3, "ann");
  await first;
  assert.deepEqual(rec.get(), { a: 1, b: 2 });
  assert.deepEqual(views, [{ a: 1 }, { a: 1, b: 2 }], "it was gone for a moment");
});
