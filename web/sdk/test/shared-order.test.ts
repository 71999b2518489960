// Records whose messages come in another order than they might, or not at all. Rules: docs/protocol.md, sections 3.1, 14, 18.1 to 18.3.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { maxHeard, maxWaitingWrites } from "../src/shared/limits.js";
import type { SharedRecord } from "../src/shared/record.js";
import { limits } from "../src/wire.gen.js";
import { pass, settle } from "./fake-server.js";
import { answer, asked, board, changed, code, expire, list, open, record, stateLost, written } from "./shared-room.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const set = (path: string, value: unknown): object => ({ op: "set", path, value });
const deleted = (incarnation: number, version: number): object => ({ type: "record-deleted", body: { scope: "room", name: "board", incarnation, version } });

function follow(rec: SharedRecord, path = "a"): unknown[] {
  const told: unknown[] = [];
  rec.subscribe(path, (value) => told.push(value));
  return told;
}

test("what is told before the reply to a subscription is not lost: changes, a deletion, the provider", async () => {
  const all = await open();
  const opening = all.state.record("board");
  await settle();
  changed(all.server, 5, [set("a", 5)]);
  changed(all.server, 6, [set("a", 6)]);
  all.server.send({ type: "record-provided", body: { scope: "room", name: "board", provided: true } });
  await answer(all.server, board(5, { a: 1 }));
  const rec = await opening;
  assert.deepEqual([rec.get("a"), rec.version, rec.provided], [6, 6, true]);
  stateLost(all.server);
  all.server.send(deleted(3, 6) as Record<string, unknown>);
  await answer(all.server, board(6, { a: 6 }));
  assert.equal(rec.exists, false);
});

test("so much is kept of it; where that is not enough the record is read anew", async () => {
  const all = await open();
  const opening = all.state.record("board");
  await settle();
  for (let i = 1; i <= maxHeard; i++) changed(all.server, 5 + i, [set("a", i)]);
  await answer(all.server, board(5, { a: 0 }));
  const rec = await opening;
  assert.equal(rec.version, 5 + maxHeard);
  stateLost(all.server);
  const before = asked(all.server, "record-subscribe").length;
  for (let i = 1; i <= maxHeard + 1; i++) changed(all.server, rec.version + i, [set("a", i)]);
  await answer(all.server, board(rec.version, { a: 0 }));
  assert.equal(asked(all.server, "record-subscribe").length, before + 1);
  await answer(all.server, board(1000, { a: "new" }));
  assert.equal(rec.get("a"), "new");
});

test("the reply to an earlier subscription, which comes after a newer one was made, counts no more", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  stateLost(all.server);
  await settle();
  const first = asked(all.server, "record-subscribe").at(-1);
  stateLost(all.server);
  await answer(all.server, board(9, { a: 9 }));
  stateLost(all.server);
  await settle();
  all.server.reply("records", { results: [{ record: board(6, { a: 6 }) }] }, first);
  await settle();
  assert.equal(rec.get("a"), 9);
  await answer(all.server, board(10, { a: 10 }));
  assert.equal(rec.get("a"), 10);
});

test("one's own earlier write is no conflict for the next one, whether its reply was lost or its change", async () => {
  for (const isAnswered of [false, true]) {
    const all = await open();
    const rec = await record(all, { a: 0 });
    const writes = [code(rec.set("a", 1))];
    await settle();
    if (isAnswered) {
      all.server.reply("written", { incarnation: 3, version: 6 });
      await settle();
      all.server.cut();
    }
    writes.push(code(rec.set("a", 2)));
    await expire(all.server);
    await answer(all.server, board(6, { a: 1 }));
    assert.deepEqual(written(all.server).at(-1), set("a", 2));
    all.server.reply("written", { incarnation: 3, version: 7 }, asked(all.server, "record-write").at(-1));
    changed(all.server, 7, [set("a", 2)], 3, "ann");
    assert.deepEqual([await Promise.all(writes), rec.get("a")], [["", ""], 2]);
    all.session.leave();
  }
});

test("a write that names a version, and whose reply was lost, is not called a conflict: nobody knows whose the next version is", async () => {
  const all = await open();
  const rec = await record(all, { a: 0 });
  const write = code(rec.set("a", 1, { version: 5 }));
  await settle();
  await expire(all.server);
  await answer(all.server, board(6, { a: 1 }));
  assert.equal(await write, "connection");
  assert.equal(asked(all.server, "record-write").length, 1);
});

test("what is underway while the record is read anew is neither seen twice, nor met, nor given up: its reply decides", async () => {
  const all = await open();
  const entries = await list(all, ["a"]);
  const add = code(entries.add("b"));
  await settle();
  stateLost(all.server);
  await answer(all.server, board(7, ["a", "b", "c"]));
  assert.deepEqual(entries.entries, ["a", "b", "c"]);
  all.server.reply("written", { incarnation: 3, version: 6 }, asked(all.server, "record-write")[0]);
  assert.equal(await add, "");
  const other = code(entries.add("d"));
  await settle();
  stateLost(all.server);
  await answer(all.server, board(8, ["a", "c"]));
  assert.deepEqual(entries.entries, ["a", "c"]);
  all.server.reply("written", { incarnation: 3, version: 9 }, asked(all.server, "record-write")[1]);
  await settle();
  assert.deepEqual(entries.entries, ["a", "c", "d"]);
  changed(all.server, 9, [{ op: "insert", value: "d", at: 2 }], 3, "ann");
  assert.deepEqual([entries.entries, await other], [["a", "c", "d"], ""]);
});

test("a set that is underway while others overwrite it was carried out, and is no conflict", async () => {
  const all = await open();
  let merges = 0;
  const rec = await record(all, { a: 1 }, { merge: (remote) => (merges++, remote) });
  const write = code(rec.set("a", 2));
  await settle();
  stateLost(all.server);
  await answer(all.server, board(7, { a: 9 }));
  all.server.reply("written", { incarnation: 3, version: 6 }, asked(all.server, "record-write")[0]);
  assert.equal(await write, "");
  assert.deepEqual([rec.get("a"), merges, asked(all.server, "record-write").length], [9, 0, 1]);
});

test("a conflict that is told while the record is read anew does not make it current", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const write = code(rec.set("a", 2, { version: 5 }));
  await settle();
  stateLost(all.server);
  all.server.refuse("conflict", { current: board(6, { a: 6 }) }, asked(all.server, "record-write")[0]);
  await settle();
  changed(all.server, 8, [set("a", 8)]);
  await answer(all.server, board(7, { a: 7 }));
  assert.deepEqual([await write, rec.get("a")], ["conflict", 8]);
});

test("a merge that is refused ends, with all that went into it", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 }, { merge: () => ({ a: "merged" }) });
  const first = code(rec.set("a", 1));
  await settle();
  const writes = [code(rec.set("a", 2)), code(rec.set("b", 2))];
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  all.server.refuse("conflict", { current: board(1, { a: 9 }, 4) });
  await settle();
  assert.deepEqual(written(all.server), [{ op: "set", value: { a: "merged" } }]);
  all.server.refuse("forbidden");
  assert.deepEqual([await first, ...(await Promise.all(writes))], ["", "forbidden", "forbidden"]);
  assert.equal(asked(all.server, "record-write").length, 3);
  assert.deepEqual(rec.get(), { a: 9 });
});

test("a merge that gives what is no document, or too large a one, is not sent", async () => {
  for (const [value, refusal] of [[7, "bad-request"], [{ a: "x".repeat(limits.maxRecordBytes) }, "too-large"]] as const) {
    const all = await open();
    const rec = await record(all, { a: 1 }, { merge: () => value });
    const write = code(rec.set("a", 2, { version: 5 }));
    await settle();
    all.server.refuse("conflict", { current: board(6, { a: 9 }) });
    assert.equal(await write, refusal);
    assert.equal(asked(all.server, "record-write").length, 1);
    assert.equal(rec.get("a"), 9);
    all.session.leave();
  }
});

test("one's own value does not flicker when the change of the write before it comes", async () => {
  const all = await open();
  const rec = await record(all, { a: 0 });
  const told = follow(rec);
  void code(rec.set("a", 1));
  await settle();
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  void code(rec.set("a", 2));
  await settle();
  changed(all.server, 6, [set("a", 1)], 3, "ann");
  changed(all.server, 7, [set("b", 1)], 3, "ann"); // another session of this identity
  all.server.reply("written", { incarnation: 3, version: 8 });
  await settle();
  changed(all.server, 8, [set("a", 2)], 3, "ann");
  assert.deepEqual(told, [1, 2]);
});

test("an entry whose write was not carried out before the session was lost is added in the next one", async () => {
  const all = await open();
  const entries = await list(all, []);
  const first = code(entries.add("a"));
  await settle();
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  const second = code(entries.add("b"));
  await settle();
  changed(all.server, 6, [{ op: "insert", value: "a", at: 0 }], 3, "ann");
  assert.equal(await first, "");
  await expire(all.server);
  await answer(all.server, { name: "board", incarnation: 3, version: 6, same: true });
  assert.equal(asked(all.server, "record-write").length, 3);
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  changed(all.server, 7, [{ op: "insert", value: "b", at: 1 }], 3, "ann");
  assert.equal(await second, "");
});

test("who awaits a write knows its version", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const versions: number[] = [];
  void rec.set("a", 2).then(() => versions.push(rec.version));
  await settle();
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  assert.deepEqual(versions, []);
  changed(all.server, 6, [set("a", 2)], 3, "ann");
  await settle();
  assert.deepEqual(versions, [6]);
  void rec.set("a", 3);
  await settle();
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  stateLost(all.server);
  await answer(all.server, board(7, { a: 3 }));
  const last = rec.set("a", 4);
  await settle();
  all.server.reply("written", { incarnation: 3, version: 8 });
  await settle();
  rec.close(); // it is carried out, whether its change is told or not
  await last;
});

test("a list with writes whose version is not here is not written by version, and keeps what others add", async () => {
  const all = await open();
  const entries = await list(all, ["a"]);
  void code(entries.add("b"));
  await settle();
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  const many = Array.from({ length: limits.maxWriteOperations + 1 }, (_, i) => `n${i}`);
  const set = code(entries.set(["a", "b", ...many]));
  await settle();
  assert.deepEqual([...new Set(written(all.server).map(({ op }) => op))], ["insert"]);
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  assert.deepEqual(written(all.server), [{ op: "insert", value: many.at(-1), at: many.length + 1 }]);
  all.server.reply("written", { incarnation: 3, version: 8 });
  stateLost(all.server);
  await answer(all.server, board(9, ["a", "b", ...many, "others"]));
  assert.equal(await set, "");
});

test("a list that is set in parts ends with the first that is refused: what is behind it is not written, and the entries are the server's", async () => {
  const all = await open();
  const entries = await list(all, ["a"]);
  const add = code(entries.add("b"));
  await settle();
  const many = Array.from({ length: 3 * limits.maxWriteOperations }, (_, i) => `n${i}`);
  const set = code(entries.set(["a", "b", ...many]));
  const behind = code(entries.add("behind"));
  assert.equal(entries.entries.length, 3 + many.length);
  all.server.reply("written", { incarnation: 3, version: 6 });
  await settle();
  all.server.reply("written", { incarnation: 3, version: 7 });
  await settle();
  assert.equal(written(all.server)[0]?.value, many[limits.maxWriteOperations]);
  all.server.refuse("forbidden");
  assert.equal(await set, "forbidden");
  await settle();
  assert.deepEqual(written(all.server), [{ op: "insert", value: "behind" }]);
  all.server.reply("written", { incarnation: 3, version: 8 });
  stateLost(all.server);
  await answer(all.server, board(8, ["a", "b", ...many.slice(0, limits.maxWriteOperations), "behind"]));
  assert.deepEqual([await add, await behind, entries.entries.length], ["", "", 3 + limits.maxWriteOperations]);
  all.server.cut();
  for (let i = 0; i < maxWaitingWrites - 1; i++) void code(entries.remove("behind", i));
  assert.equal(await code(entries.set(many)), "limit", "all parts or none");
  assert.ok(!entries.entries.includes("n600"));
});

test("a listener that writes: everybody is told what is there last, and nobody the same twice", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const first: unknown[] = [];
  rec.subscribe("a", (value) => {
    first.push(value);
    if (value === 2) void rec.set("a", 3);
  });
  const second = follow(rec);
  changed(all.server, 6, [set("a", 2)]);
  assert.deepEqual([first, second, rec.get("a")], [[2, 3], [3], 3]);
});

test("a list's events lead to its entries, also where who hears them writes", async () => {
  const all = await open();
  const entries = await list(all, ["a"]);
  const told: string[] = [];
  entries.addEventListener("entryadded", (e) => {
    told.push(`+${e.entry}@${e.at}`);
    if (e.entry === "x") void entries.remove("x");
  });
  entries.addEventListener("entryremoved", (e) => told.push(`-${e.entry}@${e.at}`));
  changed(all.server, 6, [{ op: "insert", value: "x", at: 0 }, { op: "insert", value: "y", at: 2 }]);
  assert.deepEqual([told, entries.entries], [["+x@0", "+y@2", "-x@0"], ["a", "y"]]);
});

test("what was meant for a record that was deleted while the write waited does not change its successor", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  void code(rec.set("a", 2));
  await settle();
  const waiting = code(rec.set("b", 2));
  all.server.reply("written", { incarnation: 3, version: 6 });
  all.server.send(deleted(3, 6) as Record<string, unknown>);
  changed(all.server, 1, [set("c", 1)], 4);
  await settle();
  assert.equal((all.server.last.body as { incarnation: number }).incarnation, 3);
  all.server.refuse("conflict", { current: board(1, { c: 1 }, 4) });
  assert.equal(await waiting, "conflict");
  assert.deepEqual(rec.get(), { c: 1 });
  const behind = [code(rec.delete()), code(rec.set("d", 1))];
  await settle();
  assert.equal((all.server.last.body as { incarnation: number }).incarnation, 4);
  all.server.reply("ok", {});
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", operations: [set("d", 1)] });
  void behind;
});

test("a write ends when its record, which was deleted before its change came, is read anew, whenever it is answered", async () => {
  for (const when of ["before", "while it is read", "after"]) {
    const all = await open();
    const rec = await record(all, { a: 1 });
    let ended: string | undefined;
    void code(rec.set("a", 2)).then((c) => (ended = c));
    await settle();
    const [request] = asked(all.server, "record-write");
    const reply = async (now: string): Promise<void> => {
      if (now === when) all.server.reply("written", { incarnation: 3, version: 6 }, request);
      await settle();
    };
    await reply("before");
    stateLost(all.server);
    await reply("while it is read");
    await answer(all.server, board(0));
    await reply("after");
    assert.deepEqual([ended, rec.get(), rec.isPending], ["", undefined, false], when);
  }
});

test("the reply to a deletion takes away what was deleted, not what was made since", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const gone = code(rec.delete());
  await settle();
  all.server.send(deleted(3, 5) as Record<string, unknown>);
  changed(all.server, 1, [set("b", 1)], 4);
  all.server.reply("ok", {});
  assert.equal(await gone, "");
  assert.deepEqual([rec.get(), rec.version], [{ b: 1 }, 1]);
});

test("writes that were made behind a creation are for what it created", async () => {
  const all = await open();
  const rec = await record(all);
  void code(rec.set("a", 1));
  await settle();
  void code(rec.set("a", 2));
  all.server.reply("written", { incarnation: 7, version: 1 });
  await settle();
  assert.deepEqual(all.server.last.body, { name: "board", incarnation: 7, operations: [set("a", 2)] });
});

test("a record that is closed with a write underway leaves as much room for others as before", async () => {
  const all = await open();
  for (const reply of ["written", "forbidden"]) {
    const rec = await record(all, { a: 1 });
    const write = code(rec.set("a", 2));
    await settle();
    rec.close();
    assert.equal(await write, "connection");
    const request = asked(all.server, "record-write").at(-1);
    if (reply === "written") all.server.reply("written", { incarnation: 3, version: 6 }, request);
    else all.server.refuse("forbidden", {}, request);
    await settle();
  }
  const rec = await record(all, { a: 1 });
  all.server.cut();
  for (let i = 0; i < maxWaitingWrites; i++) void code(rec.set("a", i));
  assert.equal(await code(rec.set("a", "beyond")), "limit");
});

test("the end of a record takes back what was not written, and says so first", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const told = follow(rec);
  rec.addEventListener("ended", () => told.push("ended"));
  void code(rec.set("a", 2));
  all.server.send({ type: "state-unsubscribed", body: { scope: "room", kind: "record", name: "board", error: { code: "forbidden", message: "no" } } });
  assert.deepEqual(told, [2, 1, "ended"]);
});

test("closing twice is closing once, whoever else has the record open", async () => {
  const all = await open();
  const [mine, theirs] = [await record(all, { a: 1 }), await all.state.record("board")];
  mine.close();
  mine.close();
  await settle();
  assert.equal(asked(all.server, "record-unsubscribe").length, 0);
  changed(all.server, 6, [set("a", 2)]);
  assert.equal(theirs.get("a"), 2);
});

test("history: what one reply has no room for is asked for again, what is not allowed is told", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  const history = rec.history(3);
  await settle();
  const limit = { error: { code: "limit", message: "too large together" } };
  all.server.reply("records", { results: [{ record: board(4, { a: 4 }) }, limit, limit] });
  await settle();
  assert.deepEqual(all.server.last.body, { records: [{ name: "board", version: 3 }, { name: "board", version: 2 }] });
  all.server.reply("records", { results: [{ record: board(3, { a: 3 }) }, { error: { code: "not-found", message: "gone" } }] });
  assert.deepEqual((await history).map(({ version }) => version), [4, 3]);
  for (const refusal of ["forbidden", "limit"]) {
    const refused = code(rec.history(1));
    await settle();
    all.server.reply("records", { results: [{ error: { code: refusal, message: "no" } }] });
    assert.equal(await refused, refusal);
  }
});

test("history: no more is asked for than a server keeps", async () => {
  const all = await open();
  const opening = all.state.record("board");
  await settle();
  all.server.reply("records", { results: [{ record: board(1_000, { a: 1 }) }] });
  void code((await opening).history(300));
  await settle();
  assert.equal((all.server.last.body as { records: unknown[] }).records.length, limits.maxHistory);
});

test("what fails for now while a record is read anew is not its end", async () => {
  const all = await open();
  const rec = await record(all, { a: 1 });
  stateLost(all.server);
  await settle();
  const count = (): number => asked(all.server, "record-subscribe").length;
  assert.equal(count(), 2);
  all.server.refuse("internal", { retrySeconds: 1 });
  await pass(1_100);
  assert.equal(count(), 3);
  await pass(5_000);
  all.server.send({ type: "participant-left", body: { identity: "bob", reason: "left" } }); // the connection is not lost
  await pass(5_100); // it is not answered
  await pass(2_100);
  assert.equal(count(), 4);
  await answer(all.server, board(6, { a: 6 }));
  assert.equal(rec.get("a"), 6);
});

test("what is asked for while the server cannot be reached ends with the room", async () => {
  const all = await open();
  all.server.reachable = false;
  all.server.cut();
  const { state } = all;
  const outcomes = [
    state.record("x"),
    state.event("x").subscribe(() => undefined),
    state.rpc("x").provide(() => 1),
    state.listen("x", { start: () => undefined, stop: () => undefined }),
    state.presence.watch(),
  ].map(code);
  await pass(310_000);
  outcomes.push(code(state.record("y")));
  assert.deepEqual(new Set(await Promise.all(outcomes)), new Set(["connection"]));
});
