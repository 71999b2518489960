// Rule: what this browser has kept is there at once, and gives way to what the server has; writes by path that were kept are made once the server
// has told the record, where nobody has written there meanwhile, else they are discarded, and that is told; what the server has confirmed is not kept.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { Session } from "../src/session.js";
import type { Cache, Kept } from "../src/shared/cache.js";
import { maxWaitingWrites } from "../src/shared/limits.js";
import type { StateLink } from "../src/shared/link.js";
import { SharedState } from "../src/shared/state.js";
import type { RequestMessage } from "../src/wire.gen.js";
import { FakeServer, settle } from "./fake-server.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

/** A page's memory, in place of the browser's. */
class Memory implements Cache {
  readonly rows = new Map<string, Kept>();

  async load(name: string): Promise<Kept | undefined> {
    return this.rows.get(name);
  }

  save(kept: Kept): void {
    this.rows.set(kept.name, structuredClone(kept));
  }

  forget(name: string): void {
    this.rows.delete(name);
  }
}

async function open(memory: Memory): Promise<{ server: FakeServer; session: Session; state: SharedState }> {
  const server = new FakeServer();
  const session = new Session(server, { room: "tea" }, {
    event: (m) => state.received(m),
    rejoined: () => state.restore(),
    stateChanged: (now) => state.sessionIs(now),
  });
  const link: StateLink = {
    identity: "ann",
    get isOpen() {
      return session.state.at === "open";
    },
    get isEnded() {
      return session.state.at === "ended";
    },
    nextCall: () => 1,
    request: (type, body) => session.request(type, body),
  };
  const state = new SharedState(link, "room", Promise.resolve(memory));
  const opened = session.open();
  await settle();
  server.join();
  await opened;
  return { server, session, state };
}

const asked = (server: FakeServer, type: string): RequestMessage[] => server.requests.filter((r) => r.type === type);
const answer = (server: FakeServer, version: number, value: object | undefined, incarnation = 3): void =>
  server.reply("records", { results: [{ record: value ? { name: "board", incarnation, version, value } : { name: "board", incarnation: 0, version: 0 } }] });

const told = (server: FakeServer, version: number, operations: object[]): void =>
  server.send({ type: "record-changed", body: { scope: "room", name: "board", incarnation: 3, version, operations, by: "ann" } });

test("a record is there at once as it was last known, and then as the server has it", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [] });
  const { server, state } = await open(memory);
  const record = await state.record("board");
  assert.deepEqual([record.get(), record.version, record.isLive], [{ a: 1 }, 5, false]);
  assert.deepEqual(server.last.body, { records: [{ name: "board", incarnation: 3, version: 5 }] });
  const told: unknown[] = [];
  record.subscribe("a", (value) => told.push(value));
  answer(server, 7, { a: 2 });
  await settle();
  assert.deepEqual([record.get(), record.version, record.isLive, told], [{ a: 2 }, 7, true, [2]]);
  assert.deepEqual(memory.rows.get("board"), { name: "board", incarnation: 3, version: 7, value: { a: 2 }, writes: [] });
});

test("without anything kept a record is there when the server has told it", async () => {
  const { server, state } = await open(new Memory());
  let isThere = false;
  const opening = state.record("board").then(() => (isThere = true));
  await settle();
  assert.equal(isThere, false);
  answer(server, 0, undefined);
  await opening;
});

test("writes by path are kept until the server has confirmed them, and are made by the next page", async () => {
  const memory = new Memory();
  const first = await open(memory);
  const opening = first.state.record("board");
  await settle();
  answer(first.server, 5, { a: 1, b: 1 });
  const record = await opening;
  const written = record.set("a", 2);
  await settle();
  first.server.reply("written", { incarnation: 3, version: 6 });
  told(first.server, 6, [{ op: "set", path: "a", value: 2 }]);
  await written;
  assert.deepEqual(memory.rows.get("board")?.writes, []);
  first.server.cut();
  const waiting = record.patch({ b: 2, c: 3 });
  assert.equal(memory.rows.get("board")?.writes.length, 1);
  first.session.leave(); // as a page does that goes away
  await assert.rejects(waiting, { code: "left" });
  assert.equal(memory.rows.get("board")?.writes.length, 1);

  const second = await open(memory);
  const again = await second.state.record("board");
  assert.deepEqual(again.get("c"), 3);
  assert.equal(asked(second.server, "record-write").length, 0, "before the server has told what is there");
  answer(second.server, 9, { a: 9, b: 1 });
  await settle();
  const [write] = asked(second.server, "record-write");
  assert.deepEqual(write?.body, { name: "board", incarnation: 3, operations: [{ op: "set", path: "b", value: 2 }, { op: "set", path: "c", value: 3 }] });
  second.server.reply("written", { incarnation: 3, version: 10 }, write);
  told(second.server, 10, [{ op: "set", path: "b", value: 2 }, { op: "set", path: "c", value: 3 }]);
  await settle();
  assert.deepEqual(memory.rows.get("board")?.writes, []);
});

test("a kept write gives way to what others have written there meanwhile", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [{ operations: [{ op: "set", path: "a", value: 2 }], isSent: false }] });
  const { server, state } = await open(memory);
  const record = await state.record("board");
  const discarded: unknown[] = [];
  record.addEventListener("discarded", ({ operations, error }) => discarded.push([error.code, operations]));
  assert.equal(record.get("a"), 2);
  answer(server, 6, { a: 7 });
  await settle();
  assert.equal(record.get("a"), 7);
  assert.equal(asked(server, "record-write").length, 0);
  assert.deepEqual(discarded, [["conflict", [{ op: "set", path: "a", value: 2 }]]]);
});

/** The page goes while it switches the light on, and another one finds the record at this version. */
async function left(version: number, now: object): Promise<{ server: FakeServer; memory: Memory; isOn: () => unknown; discarded: string[] }> {
  const memory = new Memory();
  const first = await open(memory);
  const opening = first.state.record("board");
  await settle();
  answer(first.server, 5, { light: false });
  const written = (await opening).set("light", true);
  await settle();
  assert.deepEqual(memory.rows.get("board")?.writes.map(({ isSent, since }) => [isSent, since]), [[true, 5]]);
  first.session.leave();
  await assert.rejects(written, { code: "left" });

  const { server, state } = await open(memory);
  const record = await state.record("board");
  const discarded: string[] = [];
  record.addEventListener("discarded", ({ error }) => discarded.push(error.code));
  answer(server, version, now);
  await settle();
  return { server, memory, isOn: () => record.get("light"), discarded };
}

test("what was on its way when the page went is not made again where a version shows that it was made, whatever others have done since", async () => {
  for (const [version, now, past] of [
    [6, { light: true }, []],
    [7, { light: true, a: 1 }, [{ light: true }]],
    [7, { light: false }, [{ light: true }]], // others have undone it
    [8, { light: false, a: 1 }, [{ light: false, a: 1 }, { light: true, a: 1 }]],
  ] as const) {
    const { server, memory, isOn, discarded } = await left(version, now);
    if (past.length > 0) {
      assert.deepEqual(server.last.body, { records: past.map((_, i) => ({ name: "board", version: 6 + i })) });
      server.reply("records", { results: past.map((value, i) => ({ record: { name: "board", incarnation: 3, version: 6 + i, value } })) });
      await settle();
    }
    assert.equal(asked(server, "record-write").length, 0);
    assert.deepEqual([isOn(), discarded, memory.rows.get("board")?.writes], [now.light, [], []], `version ${version}`);
  }
});

test("what was on its way is made again where the versions show that it was not, unless others have written there; where they are not to be had, it is discarded", async () => {
  for (const [version, now, past, isMade, why] of [
    [5, { light: false }, [], true, undefined],
    [6, { light: false, a: 1 }, [], true, undefined],
    [7, { light: false, a: 2 }, [{ light: false, a: 1 }], true, undefined],
    [7, { light: "dim", a: 1 }, [{ light: "dim" }], false, "conflict"],
    [7, { light: false }, [undefined], false, "connection"],
    [7, { light: true }, [undefined], false, undefined], // it need not be made
    [99, { light: false }, [], false, "connection"],
  ] as const) {
    const { server, isOn, discarded } = await left(version, now);
    const gone = { error: { code: "not-found", message: "gone" } };
    if (past.length > 0) {
      assert.equal(asked(server, "record-write").length, 0, "before it is known");
      server.reply("records", { results: past.map((value, i) => (value ? { record: { name: "board", incarnation: 3, version: 6 + i, value } } : gone)) });
      await settle();
    }
    assert.deepEqual([asked(server, "record-write").length === 1, discarded], [isMade, why ? [why] : []], `version ${version}: ${JSON.stringify(past)}`);
    assert.equal(isOn(), isMade ? true : now.light);
  }
});

test("what is written while others are judged has seen what was there then, and nothing since", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [{ operations: [{ op: "set", path: "light", value: true }], isSent: true, since: 5 }] });
  const { server, state } = await open(memory);
  const record = await state.record("board", { merge: (_, local) => local });
  answer(server, 7, { a: 1, b: 1 });
  await settle();
  const [look] = asked(server, "record-read");
  void record.set({ mine: true });
  told(server, 8, [{ op: "set", path: "a", value: 2 }]);
  await settle();
  server.reply("records", { results: [{ record: { name: "board", incarnation: 3, version: 6, value: { a: 1 } } }] }, look);
  await settle();
  server.reply("written", { incarnation: 3, version: 9 }, asked(server, "record-write")[0]);
  told(server, 9, [{ op: "set", path: "light", value: true }]);
  await settle();
  assert.equal((asked(server, "record-write")[1]?.body as { version?: number }).version, 7);
});

test("what is written while others are judged, for a record that is deleted meanwhile, does not change its successor", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [{ operations: [{ op: "set", path: "light", value: true }], isSent: true, since: 5 }] });
  const { server, state } = await open(memory);
  const record = await state.record("board");
  answer(server, 7, { a: 1, b: 1 });
  await settle();
  const [look] = asked(server, "record-read");
  record.set("c", 1).catch(() => undefined);
  server.send({ type: "record-deleted", body: { scope: "room", name: "board", incarnation: 3, version: 8 } });
  server.send({ type: "record-changed", body: { scope: "room", name: "board", incarnation: 4, version: 1, operations: [{ op: "set", value: { x: 1 } }], by: "bob" } });
  await settle();
  server.reply("records", { results: [{ record: { name: "board", incarnation: 3, version: 6, value: { a: 1 } } }] }, look);
  await settle();
  assert.deepEqual(asked(server, "record-write").map((r) => (r.body as { incarnation?: number }).incarnation), [3]);
});

test("what was sent as one is judged as one: where a part of it was not kept, nobody knows", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: ["a"], writes: [{ operations: [{ op: "set", path: "[0]", value: "b" }], isSent: true }] });
  const { server, state } = await open(memory);
  const discarded: string[] = [];
  (await state.record("board")).addEventListener("discarded", ({ error }) => discarded.push(error.code));
  answer(server, 6, ["b", "c"]); // with one that was added
  await settle();
  assert.deepEqual([asked(server, "record-write").length, discarded], [0, []], "what is there need not be written");
});

test("an entry that was erased when the page went is not erased twice", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { items: ["a", "b", "c"] }, writes: [{ operations: [{ op: "erase", path: "items[0]" }], isSent: true }] });
  const { server, state } = await open(memory);
  const record = await state.record("board");
  const discarded: string[] = [];
  record.addEventListener("discarded", ({ error }) => discarded.push(error.code));
  answer(server, 6, { items: ["b", "c"] }); // it was carried out
  await settle();
  assert.deepEqual([asked(server, "record-write").length, record.get("items"), discarded], [0, ["b", "c"], ["connection"]]);
});

test("operations on lists are not kept: to repeat them may do them twice; nor are writes for one version", async () => {
  const memory = new Memory();
  const { server, state } = await open(memory);
  const opening = state.list("board");
  await settle();
  answer(server, 1, ["x"] as unknown as object);
  const list = await opening;
  server.cut();
  const adding = list.add("y");
  adding.catch(() => undefined);
  assert.deepEqual(memory.rows.get("board")?.writes, []);
  assert.deepEqual(memory.rows.get("board")?.value, ["x"]);
});

test("what may not be read any more is forgotten", async () => {
  const memory = new Memory();
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [] });
  const { server, state } = await open(memory);
  const record = await state.record("board");
  let ended: ParleyError | undefined;
  record.addEventListener("ended", ({ error }) => (ended = error));
  server.reply("records", { results: [{ error: { code: "forbidden", message: "no" } }] });
  await settle();
  assert.equal(ended?.code, "forbidden");
  assert.equal(memory.rows.size, 0);
});

test("of kept writes no more are taken than may wait, and none that does not fit", async () => {
  const memory = new Memory();
  const writes = Array.from({ length: maxWaitingWrites + 5 }, (_, i) => ({ operations: [{ op: "set" as const, path: "n", value: i }], isSent: false }));
  memory.save({ name: "board", incarnation: 3, version: 5, value: { a: 1 }, writes: [{ operations: [{ op: "set", path: "a.b", value: 1 }], isSent: false }, ...writes] });
  const { state } = await open(memory);
  const record = await state.record("board");
  assert.equal(record.get("n"), maxWaitingWrites - 1);
  await assert.rejects(record.set("n", 0), { code: "limit" });
});
