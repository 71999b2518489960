// What a client keeps over lost sessions, and how it ends: subscriptions to events, RPCs that it provides, patterns, presence, calls.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { MediaError, ParleyError } from "../src/errors.js";
import type { RequestMessage } from "../src/wire.gen.js";
import { limits } from "../src/wire.gen.js";
import { type FakeServer, pass, settle } from "./fake-server.js";
import { maxWaiting } from "../src/session.js";
import { answer, asked, board, changed, code, expire, open, type Opened, record, stateLost } from "./shared-room.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const forbidden = { code: "forbidden", message: "no" };

function unsubscribed(server: FakeServer, kind: string, name: string): void {
  server.send({ type: "state-unsubscribed", body: { scope: "room", kind, name, error: forbidden } });
}

function names(request: RequestMessage | undefined): readonly string[] {
  const body = request?.body as { names?: string[]; records?: { name: string }[] };
  return body.names ?? body.records?.map(({ name }) => name) ?? [];
}

test("whoever subscribes, provides or listens is told when that ends: not allowed any more, or the room is over", async () => {
  const all = await open();
  const ended: string[] = [];
  const handler = (what: string) => ({ ended: (error: ParleyError) => ended.push(`${what} ${error.code}`) });
  const made = [
    all.state.event("wave").subscribe(() => undefined, handler("wave")),
    all.state.event("other").subscribe(() => undefined, handler("other")),
    all.state.rpc("add").provide(() => 1, handler("add")),
    all.state.listen("x*", { start: () => undefined, stop: () => undefined, ...handler("x*") }),
  ];
  await settle();
  for (const type of ["event-subscribe", "rpc-provide"]) for (const r of asked(all.server, type)) all.server.reply("subscribed", { results: [{}] }, r);
  all.server.reply("ok", {}, asked(all.server, "listen")[0]);
  await Promise.all(made);
  unsubscribed(all.server, "event", "wave");
  unsubscribed(all.server, "rpc", "add");
  unsubscribed(all.server, "listen-record", "x*");
  assert.deepEqual(ended, ["wave forbidden", "add forbidden", "x* forbidden"]);
  stateLost(all.server);
  await settle();
  const again = asked(all.server, "event-subscribe").at(-1);
  assert.deepEqual(names(again), ["other"]);
  all.server.reply("subscribed", { results: [{ name: "other", error: forbidden }] }, again);
  await settle();
  assert.deepEqual(ended.slice(3), ["other forbidden"]);
});

test("what fails for now while all is made again is tried again, with growing pauses", async () => {
  const all = await open();
  const subscribing = all.state.event("wave").subscribe(() => undefined);
  await settle();
  const count = (): number => asked(all.server, "event-subscribe").length;
  for (const [n, seconds] of [1, 2, 4].entries()) {
    assert.equal(count(), n + 1);
    all.server.refuse("internal");
    await pass(seconds * 1000 - 100);
    assert.equal(count(), n + 1);
    await pass(200);
  }
  all.server.reply("subscribed", { results: [{ name: "wave" }] });
  await subscribing;
});

test("what one request may not ask for together is asked for one by one: a refusal of that alone is its end", async () => {
  const all = await open();
  const ended: string[] = [];
  const handler = (what: string) => ({ ended: (error: ParleyError) => ended.push(`${what} ${error.code}`) });
  const wanted = ["a", "b", "c"];
  const made = wanted.map((name) => all.state.event(name).subscribe(() => undefined, handler(name)));
  const { presence } = all.state;
  presence.addEventListener("ended", (e) => ended.push(`${e.identities} ${e.error.code}`));
  const watching = presence.watch(wanted);
  await settle();
  for (const r of asked(all.server, "event-subscribe")) all.server.reply("subscribed", { results: [{}] }, r);
  present(all.server, []);
  await Promise.all([...made, watching]);
  stateLost(all.server);
  await settle();
  const limit = { error: { code: "limit", message: "too much for one request" } };
  all.server.reply("subscribed", { results: [{}, limit, limit] }, asked(all.server, "event-subscribe").at(-1));
  present(all.server, [], -1);
  await settle();
  const alone = asked(all.server, "event-subscribe").slice(-2);
  assert.deepEqual(alone.map(names), [["b"], ["c"]]);
  all.server.reply("subscribed", { results: [{}] }, alone[0]);
  all.server.reply("subscribed", { results: [limit] }, alone[1]);
  stateLost(all.server);
  await settle();
  all.server.reply("present", { identities: ["a"], refused: ["b", "c"].map((name) => ({ name, ...limit })) }, asked(all.server, "presence-subscribe").at(-1));
  await settle();
  const each = asked(all.server, "presence-subscribe").slice(-2);
  assert.deepEqual(each.map((r) => r.body), [{ identities: ["b"] }, { identities: ["c"] }]);
  all.server.reply("present", { identities: ["b"] }, each[0]);
  all.server.reply("present", { identities: [], refused: [{ name: "c", ...limit }] }, each[1]);
  await settle();
  assert.deepEqual([ended, [...presence.present].sort()], [["c limit", "c limit"], ["a", "b"]]);
});

test("what is not used any more ends in requests of many, and again where that was too fast, unless it is used again", async () => {
  const all = await open();
  const wanted = Array.from({ length: limits.maxBulkNames + 2 }, (_, i) => `r${i}`);
  const opening = wanted.map((name) => all.state.record(name));
  await settle();
  for (const r of asked(all.server, "record-subscribe")) all.server.reply("records", { results: [{ record: board(0) }] }, r);
  for (const rec of await Promise.all(opening)) rec.close();
  await settle();
  assert.equal(asked(all.server, "record-unsubscribe").length, 1);
  assert.equal(names(all.server.last).length, limits.maxBulkNames);
  all.server.refuse("rate", { retrySeconds: 1 });
  void all.state.record("r0");
  await pass(1_100);
  assert.deepEqual(names(all.server.last), wanted.slice(1, limits.maxBulkNames + 1));
  all.server.reply("ok", {});
  await settle();
  assert.deepEqual(names(all.server.last), wanted.slice(limits.maxBulkNames + 1));
});

test("what was closed while its subscription waited is not subscribed to; while it was underway, it ends afterwards", async () => {
  const all = await open();
  const [one, two] = ["one", "two"].map((name) => all.state.record(name));
  await settle();
  for (const r of asked(all.server, "record-subscribe")) all.server.reply("records", { results: [{ record: board(0) }] }, r);
  const [first, second] = await Promise.all([one, two]);
  stateLost(all.server);
  await settle();
  const again = all.server.last;
  all.server.refuse("rate", { retrySeconds: 1 });
  first?.close();
  await settle();
  all.server.reply("ok", {});
  await pass(1_100);
  assert.deepEqual([again, all.server.last].map(names), [["one", "two"], ["two"]]);
  const asking = all.server.last;
  second?.close();
  all.server.reply("records", { results: [{ record: board(0) }] }, asking);
  await settle();
  assert.deepEqual([all.server.last.type, names(all.server.last)], ["record-unsubscribe", ["two"]]);
});

test("a name of a pattern that has ended is left to others", async () => {
  const all = await open();
  all.server.send({ type: "listen-start", body: { scope: "room", kind: "record", pattern: "x*", names: ["x1"] } });
  await settle();
  assert.deepEqual([all.server.last.type, all.server.last.body], ["listen-reject", { kind: "record", name: "x1" }]);
});

test("RPC and events carry any JSON, and nobody changes it for others", async () => {
  const all = await open();
  const given: unknown[] = [];
  const deep = JSON.parse(`${"[".repeat(30)}1${"]".repeat(30)}`) as unknown;
  const topic = all.state.event("wave");
  void topic.subscribe((value) => given.push(value));
  void topic.subscribe((value) => given.push(value));
  void all.state.rpc("add").provide((value) => given.push(value));
  const call = all.state.rpc("other").request();
  await settle();
  const value = { constructor: 1, deep };
  all.server.send({ type: "rpc-result", body: { scope: "room", call: 1, value } });
  assert.deepEqual(await call, value);
  all.server.send({ type: "event", body: { scope: "room", name: "wave", value: { list: [1] } } });
  assert.throws(() => (given[0] as { list: number[] }).list.push(2), TypeError);
  all.server.send({ type: "rpc-call", body: { scope: "room", name: "add", call: 7, value } });
  await settle();
  all.server.reply("ok", {}, asked(all.server, "rpc-accept")[0]);
  await settle();
  assert.deepEqual(given.at(-1), value);
});

async function provided(all: Opened, accepts: () => boolean): Promise<void> {
  const providing = all.state.rpc("add").provide(() => 5, { accepts });
  await settle();
  all.server.reply("subscribed", { results: [{ name: "add" }] });
  await providing;
  all.server.send({ type: "rpc-call", body: { scope: "room", name: "add", call: 77 } });
  await settle();
}

test("RPC: an answer that was too fast is given again", async () => {
  const all = await open();
  await provided(all, () => true);
  all.server.reply("ok", {});
  await settle();
  all.server.refuse("rate", { retrySeconds: 1 });
  await pass(1_100);
  assert.deepEqual(asked(all.server, "rpc-answer").map((r) => r.body), [{ call: 77, value: 5 }, { call: 77, value: 5 }]);
});

test("RPC: a provider that cannot say whether it accepts leaves the call to others", async (t) => {
  const thrown = t.mock.method(globalThis, "queueMicrotask", () => undefined); // it is the page's
  const all = await open();
  await provided(all, () => {
    throw new Error("a fault");
  });
  assert.deepEqual([all.server.last.type, all.server.last.body], ["rpc-reject", { call: 77 }]);
  assert.equal(thrown.mock.callCount(), 1);
});

test("RPC: a call that is made while the participant joins anew is one of the next session", async () => {
  const all = await open();
  const before = code(all.state.rpc("add").request(1));
  await settle();
  all.server.cut();
  await pass(400);
  all.server.refuse("session-expired");
  await settle();
  assert.equal(await before, "connection");
  const call = all.state.rpc("add").request(2);
  await pass(6_000);
  all.server.join();
  await settle();
  all.server.reply("ok", {}, asked(all.server, "rpc-request").at(-1));
  all.server.send({ type: "rpc-result", body: { scope: "room", call: 2, value: "done" } });
  assert.equal(await call, "done");
});

function say(server: FakeServer, type: "joined" | "left", identity: string): void {
  server.send({ type: `presence-${type}`, body: { scope: "room", identity } });
}

function present(server: FakeServer, identities: string[], which = -1): void {
  server.reply("present", { identities }, asked(server, "presence-subscribe").at(which));
}

test("presence: any number of names can be asked about; what was too much together is asked for again, and only where none is told it rejects", async () => {
  const all = await open();
  const wanted = Array.from({ length: limits.maxBulkNames + 2 }, (_, i) => `p${i}`);
  const listed = all.state.presence.list(wanted);
  const refused = (names: readonly string[], why: string): object[] => names.map((name) => ({ name, error: { code: why, message: "no" } }));
  await settle();
  assert.deepEqual(all.server.last.body, { identities: wanted.slice(0, limits.maxBulkNames) });
  all.server.reply("present", { identities: ["p0"], refused: [...refused(["p1"], "forbidden"), ...refused(["p2", "p3"], "limit")] });
  await settle();
  assert.deepEqual(all.server.last.body, { identities: wanted.slice(-2) });
  all.server.reply("present", { identities: wanted.slice(-1) });
  await settle();
  assert.deepEqual(all.server.last.body, { identities: ["p2", "p3"] });
  all.server.reply("present", { identities: ["p3"], refused: refused(["p2"], "forbidden") });
  assert.deepEqual(await listed, ["p0", ...wanted.slice(-1), "p3"]);
  for (const why of ["forbidden", "limit"]) {
    const none = code(all.state.presence.list(["x", "y"]));
    await settle();
    all.server.reply("present", { identities: [], refused: refused(["x", "y"], why) });
    assert.equal(await none, why);
  }
});

test("presence: those who are there are not looked for among one another", async (t) => {
  const all = await open();
  const watching = all.state.presence.watch();
  await settle();
  const { includes } = Array.prototype;
  let looks = 0;
  Array.prototype.includes = function (...given) {
    looks++;
    return includes.apply(this, given);
  };
  t.after(() => (Array.prototype.includes = includes));
  present(all.server, Array.from({ length: 1_000 }, (_, i) => `p${i}`));
  assert.equal((await watching).length, 1_000);
  assert.ok(looks < 100, `${looks} times`);
});

test("presence: what is told before the reply is older than it", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch();
  await settle();
  say(all.server, "left", "ann");
  say(all.server, "joined", "bob");
  present(all.server, ["ann", "cid"]);
  assert.deepEqual([...(await watching)].sort(), ["ann", "cid"]);
  const told: string[] = [];
  presence.addEventListener("join", (e) => told.push(`+${e.identity}`));
  presence.addEventListener("leave", (e) => told.push(`-${e.identity}`));
  stateLost(all.server);
  await settle();
  present(all.server, ["bob", "cid"]);
  await settle();
  say(all.server, "left", "cid");
  say(all.server, "joined", "dan");
  assert.deepEqual([told, [...presence.present].sort()], [["-ann", "+bob", "-cid", "+dan"], ["bob", "dan"]]);
});

test("presence: a long list is read again from its beginning where all is forgotten meanwhile, and what is told of it stays", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch();
  await settle();
  all.server.reply("present", { identities: ["ann"], more: true });
  await settle();
  const page = all.server.last;
  stateLost(all.server);
  await settle();
  all.server.reply("present", { identities: ["bob"] }, page);
  all.server.reply("present", { identities: ["bob"], more: true }, asked(all.server, "presence-subscribe").at(-1));
  await settle();
  say(all.server, "left", "cid");
  say(all.server, "joined", "dan");
  all.server.reply("present", { identities: ["cid"] });
  assert.deepEqual([...(await watching)].sort(), ["bob", "dan"]);
});

test("presence: what is asked for while all is forgotten, or the session lost, stands in the end", async () => {
  for (const isLost of [false, true]) {
    const all = await open();
    const watching = all.state.presence.watch(["bob"]);
    await settle();
    if (isLost) await expire(all.server);
    else stateLost(all.server);
    await settle();
    if (!isLost) present(all.server, [], -2); // of before
    present(all.server, ["bob"]);
    assert.deepEqual(await watching, ["bob"]);
    say(all.server, "left", "bob");
    assert.equal(all.state.presence.present.size, 0);
    all.session.leave();
  }
});

test("presence: who listens watches all, unless somebody is watched by name; where that is not allowed, it has ended", async () => {
  const all = await open();
  const { presence } = all.state;
  const told: string[] = [];
  presence.addEventListener("join", (e) => told.push(`+${e.identity}`));
  presence.addEventListener("leave", (e) => told.push(`-${e.identity}`));
  presence.addEventListener("ended", (e) => told.push(`${e.error.code} ${e.identities}`));
  await settle();
  assert.deepEqual(asked(all.server, "presence-subscribe").map((r) => r.body), [{}]);
  present(all.server, ["ann"]);
  await settle();
  say(all.server, "joined", "bob");
  say(all.server, "left", "ann");
  assert.deepEqual(told, ["+bob", "-ann"]);

  all.other.presence.addEventListener("join", () => undefined);
  const watching = all.other.presence.watch(["bob"]);
  await settle();
  assert.deepEqual(all.server.last.body, { scope: "server", identities: ["bob"] });
  present(all.server, ["bob"]);
  await watching;
  assert.equal(asked(all.server, "presence-subscribe").length, 2);

  const refused = await open();
  refused.state.presence.addEventListener("ended", (e) => told.push(`${e.error.code} ${e.identities}`));
  refused.state.presence.addEventListener("join", () => undefined);
  await settle();
  refused.server.refuse("forbidden");
  await settle();
  assert.deepEqual(told.slice(2), ["forbidden undefined"]);
});

test("presence: one identity that is not allowed any more ends no other", async () => {
  const all = await open();
  const { presence } = all.state;
  const watching = presence.watch(["ann", "bob", "cid"]);
  await settle();
  present(all.server, ["ann", "bob", "cid"]);
  await watching;
  const ended: unknown[] = [];
  presence.addEventListener("ended", (e) => ended.push(e.identities));
  stateLost(all.server);
  await settle();
  all.server.reply("present", { identities: ["ann", "cid"], refused: [{ name: "bob", error: forbidden }] });
  await settle();
  unsubscribed(all.server, "presence", "cid");
  assert.deepEqual([ended, [...presence.present]], [[["bob"], ["cid"]], ["ann"]]);
});

test("a server that keeps no state says so, and that is nothing about media", async () => {
  const all = await open();
  const opening = all.state.record("board");
  await settle();
  all.server.refuse("unsupported");
  await assert.rejects(opening, (e: unknown) => e instanceof ParleyError && !(e instanceof MediaError) && e.code === "unsupported");
});

test("what is kept, and what was written, comes through in the next session, however many requests wait for it", async () => {
  const all = await open();
  const rec = await record(all, { n: 1 });
  const subscribing = all.state.event("wave").subscribe(() => undefined);
  await settle();
  all.server.reply("subscribed", { results: [{ name: "wave" }] });
  await subscribing;
  all.server.cut();
  await pass(400);
  all.server.refuse("session-expired");
  await pass(1);
  for (let i = 0; i < maxWaiting; i++) void code(all.state.event("x").publish(i));
  assert.equal(await code(all.state.event("x").publish(1)), "limit");
  const writing = rec.set("n", 2);
  await pass(6_000);
  all.server.join();
  await settle();
  assert.equal(asked(all.server, "event-subscribe").length, 2);
  await answer(all.server, { ...board(5), incarnation: 3, version: 5, same: true });
  all.server.reply("written", { incarnation: 3, version: 6 }, asked(all.server, "record-write").at(-1));
  changed(all.server, 6, [{ op: "set", path: "n", value: 2 }], 3, "ann");
  await writing;
});
