// Rule: who has ended something is told nothing of it any more, be it that another is told at that moment; what ends with the session is no error;
// what is thrown, be it anything, ends what it was thrown for and nothing else.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { maxAnswering } from "../src/shared/limits.js";
import type { Provider } from "../src/shared/rpc.js";
import { settle } from "./fake-server.js";
import { answer, asked, board, changed, code, expire, list, open, type Opened, record, stateLost } from "./shared-room.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const forbidden = { code: "forbidden", message: "no" };

function send({ server }: Opened, type: string, body: object): void {
  server.send({ type, body: { scope: "room", ...body } });
}

/** What is made of several names, when the server has agreed to each. */
async function made({ server }: Opened, type: string, making: readonly Promise<() => void>[]): Promise<(() => void)[]> {
  await settle();
  for (const request of asked(server, type)) server.reply(type === "listen" ? "ok" : "subscribed", { results: [{}] }, request);
  return Promise.all(making);
}

test("who is ended by another that is told of the same is not told", async () => {
  const all = await open();
  const told: string[] = [];
  const ends: (() => void)[] = [];
  const each = (what: string): void => {
    told.push(what);
    for (const end of ends) end();
  };
  const topic = all.state.event("wave");
  const listener = (): void => each("event");
  ends.push(...(await made(all, "event-subscribe", [topic.subscribe(listener), topic.subscribe(() => each("event"))])));
  send(all, "event", { name: "wave" });
  assert.deepEqual(told.splice(0), ["event"]);

  const ended = { ended: () => each("ended") };
  ends.splice(0, 2, ...(await made(all, "event-subscribe", [topic.subscribe(() => undefined, ended), topic.subscribe(() => undefined, ended)])));
  send(all, "state-unsubscribed", { kind: "event", name: "wave", error: forbidden });
  assert.deepEqual(told.splice(0), ["ended"]);

  const handlers = { start: () => undefined, stop: () => undefined, ...ended };
  ends.splice(0, 2, ...(await made(all, "listen", [all.state.listen("x*", handlers), all.state.listen("y*", handlers)])));
  all.session.leave();
  assert.deepEqual(told, ["ended"]);
});

test("of two who have a record open, the one that the other closes is told nothing any more", async () => {
  for (const what of ["provided", "ended"] as const) {
    const all = await open();
    const views = [await record(all, { a: 1 }), await all.state.record("board")];
    const told: string[] = [];
    const closeAll = (type: string): void => {
      told.push(type);
      for (const view of views) view.close();
    };
    for (const view of views) {
      view.addEventListener("providedchange", () => closeAll("provided"));
      view.addEventListener("ended", () => closeAll("ended"));
    }
    if (what === "provided") send(all, "record-provided", { name: "board", provided: true });
    else send(all, "state-unsubscribed", { kind: "record", name: "board", error: forbidden });
    assert.deepEqual(told, [what]);
  }
});

test("a record that is closed tells nobody of changes, also who comes later, and a list stops where it is closed", async () => {
  const all = await open();
  const [closed, shown] = [await record(all, { a: 1 }), await all.state.record("board")];
  closed.close();
  const told: unknown[] = [];
  const end = closed.subscribe("a", (value) => told.push(value), { now: true });
  shown.subscribe("a", (value) => told.push(["open", value]));
  changed(all.server, 6, [{ op: "set", path: "a", value: 2 }]);
  end();
  assert.deepEqual(told, [["open", 2]]);

  for (const last of ["y", "z"]) {
    const other = await open();
    const queue = await list(other, ["x"]);
    const steps: string[] = [];
    queue.addEventListener("entryadded", (e) => {
      steps.push(e.entry);
      if (e.entry === last) queue.close();
    });
    queue.addEventListener("change", () => steps.push("change"));
    changed(other.server, 6, [{ op: "insert", value: "y", at: 1 }, { op: "insert", value: "z", at: 2 }]);
    assert.deepEqual(steps, ["y", "z"].slice(0, last === "y" ? 1 : 2));
  }
});

async function provided(all: Opened, provider: Provider): Promise<() => void> {
  const [end] = await made(all, "rpc-provide", [all.state.rpc("add").provide(provider)]);
  return end as () => void;
}

test("RPC: a provider that has ended before the server agreed leaves the call to others", async () => {
  const all = await open();
  let begun = 0;
  const end = await provided(all, () => begun++);
  send(all, "rpc-call", { name: "add", call: 77, from: "bob" });
  await settle();
  const accept = all.server.last;
  end();
  await settle();
  all.server.reply("ok", {}, accept);
  await settle();
  assert.deepEqual([begun, all.server.last.type, all.server.last.body], [0, "rpc-reject", { call: 77 }]);
});

test("RPC: so many calls are answered at once, others are left to other providers", async () => {
  const all = await open();
  const release: (() => void)[] = [];
  await provided(all, () => new Promise<void>((resolve) => release.push(resolve)));
  for (let call = 1; call <= maxAnswering + 1; call++) send(all, "rpc-call", { name: "add", call, from: "bob" });
  await settle();
  assert.deepEqual(asked(all.server, "rpc-reject").map((r) => r.body), [{ call: maxAnswering + 1 }]);
  for (const request of asked(all.server, "rpc-accept")) all.server.reply("ok", {}, request);
  await settle();
  release[0]?.();
  await settle();
  all.server.reply("ok", {}); // it has the answer
  await settle();
  send(all, "rpc-call", { name: "add", call: maxAnswering + 2, from: "bob" });
  await settle();
  assert.equal(asked(all.server, "rpc-accept").length, maxAnswering + 1);
});

test("what is thrown may be anything", async () => {
  const nothing: unknown = Object.create(null); // has no text
  const all = await open();
  await provided(all, () => Promise.reject(nothing));
  send(all, "rpc-call", { name: "add", call: 77, from: "bob" });
  await settle();
  all.server.reply("ok", {});
  await settle();
  assert.deepEqual([all.server.last.type, (all.server.last.body as { call: number }).call], ["rpc-answer", 77]);

  const rec = await record(all, { a: 1 }, {
    merge: () => {
      throw nothing;
    },
  });
  const write = code(rec.set({ a: 2 }));
  await settle();
  all.server.refuse("conflict", { current: board(6, { a: 6 }) });
  assert.equal(await write, "internal");
  assert.deepEqual([rec.get("a"), rec.isPending], [6, false]);
});

test("listening: a name whose beginning fails is left to others", async (t) => {
  const all = await open();
  const thrown: unknown[] = [];
  t.mock.method(globalThis, "queueMicrotask", (act: () => void) => {
    try {
      act();
    } catch (reason) {
      thrown.push(reason);
    }
  });
  const start = (): void => {
    throw new Error("no such stock");
  };
  await made(all, "listen", [all.state.listen("stock/*", { start, stop: () => assert.fail("it has not begun") })]);
  send(all, "listen-start", { kind: "record", pattern: "stock/*", names: ["stock/a"] });
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body, thrown.length], ["listen-reject", { kind: "record", name: "stock/a" }, 1]);
  send(all, "listen-stop", { kind: "record", pattern: "stock/*", names: ["stock/a"] });
});

test("presence: who listens and then says whom to watch, or that nobody is watched, is taken at his word", async () => {
  for (const watches of [true, false]) {
    const all = await open();
    const { presence } = all.state;
    presence.addEventListener("join", () => undefined);
    if (watches) void presence.watch();
    void presence.unwatch();
    await settle();
    const types = all.server.requests.map((r) => r.type).filter((type) => type.startsWith("presence-"));
    assert.deepEqual(types, watches ? ["presence-subscribe", "presence-unsubscribe"] : ["presence-unsubscribe"]);
    presence.addEventListener("leave", () => undefined);
    await settle();
    assert.equal(all.server.last.type, "presence-subscribe", "whoever begins to listen afterwards watches all");
  }
});

test("presence: what is not watched any more ends with the session too", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch(["bob"]);
  await settle();
  all.server.reply("present", { identities: [] });
  await watching;
  const ending = code(presence.unwatch(["bob"]));
  await expire(all.server);
  assert.equal(await ending, "");
  assert.equal(asked(all.server, "presence-subscribe").length, 1);
});

test("presence: what was told before all was forgotten is not taken for what is told since", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch();
  await settle();
  all.server.reply("present", { identities: ["ann"], more: true });
  await settle();
  const page = all.server.last;
  send(all, "presence-joined", { identity: "bob" });
  stateLost(all.server);
  await settle();
  all.server.reply("present", { identities: ["cid"], more: true }, page); // the reading of before goes on
  await settle();
  all.server.reply("present", { identities: ["ann"] }, asked(all.server, "presence-subscribe").at(-1)); // bob has gone meanwhile
  assert.deepEqual(await watching, ["ann"]);
});

test("a refusal of what was asked before all was forgotten is not the end of what was asked since", async () => {
  const all = await open();
  const watching = all.state.presence.watch(["bob"]);
  const opening = all.state.record("board");
  await settle();
  const before = [...asked(all.server, "presence-subscribe"), ...asked(all.server, "record-subscribe")];
  stateLost(all.server);
  await settle();
  for (const request of before) all.server.refuse("limit", {}, request);
  await settle();
  all.server.reply("present", { identities: ["bob"] }, asked(all.server, "presence-subscribe").at(-1));
  await answer(all.server, board(5, { a: 1 }));
  assert.deepEqual([await watching, (await opening).get("a")], [["bob"], 1]);
});
