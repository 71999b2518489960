import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { backoff, maxWaiting, Session, type SessionState, type TokenSource } from "../src/session.js";
import type { EventMessage, Joined } from "../src/wire.gen.js";
import { FakeServer, joined, pass, settle } from "./fake-server.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5); // pauses of the length that they have on average
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

interface Told {
  readonly events: EventMessage[];
  readonly rejoined: Joined[];
  readonly states: SessionState["at"][];
  readonly reasons: string[];
}

function start(server: FakeServer, token?: TokenSource): { session: Session; told: Told } {
  const told: Told = { events: [], rejoined: [], states: [], reasons: [] };
  const session = new Session(server, { room: "tea", ...(token !== undefined && { token }) }, {
    event: (m) => told.events.push(m),
    rejoined: (j) => told.rejoined.push(j),
    stateChanged: (s) => {
      told.states.push(s.at);
      if (s.at === "resuming" && s.reason) told.reasons.push(s.reason.code);
    },
  });
  return { session, told };
}

async function open(): Promise<{ server: FakeServer; session: Session; told: Told }> {
  const server = new FakeServer();
  const { session, told } = start(server);
  const opened = session.open();
  await settle();
  server.join();
  await opened;
  return { server, session, told };
}

const left = { type: "participant-left", body: { identity: "bob", reason: "left" } };

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "";
  } catch (reason) {
    return reason instanceof ParleyError ? reason.code : String(reason);
  }
}

test("joining names protocol and room, and returns what the server said", async () => {
  const { server, session } = await open();
  assert.deepEqual(server.requests[0]?.body, { room: "tea", protocol: 1 });
  assert.equal(session.state.at, "open");
});

test("the first join is tried once: a refusal is told at once", async () => {
  const server = new FakeServer();
  const { session } = start(server);
  const opened = code(session.open());
  await settle();
  server.refuse("unauthorized");
  assert.equal(await opened, "unauthorized");
  assert.equal(session.state.at, "ended");
  assert.equal(await code(session.request("ping", {})), "unauthorized");
});

test("a server that cannot be reached is told at once", async () => {
  const server = new FakeServer();
  server.reachable = false;
  assert.equal(await code(start(server).session.open()), "connection");
});

test("an aborted join rejects with the signal's reason", async () => {
  const server = new FakeServer();
  const abort = new AbortController();
  const opened = start(server).session.open(abort.signal);
  await settle();
  abort.abort(new Error("changed my mind"));
  await assert.rejects(opened, /changed my mind/);
  assert.equal(server.connected, false);
});

test("a request that is not answered in 10 seconds rejects", async () => {
  const { server, session } = await open();
  const asked = code(session.request("chat", { text: "hello" }));
  await pass(9_000);
  server.send(left); // the connection is not lost
  await pass(1_000);
  assert.equal(await asked, "timeout");
});

test("where nothing at all comes, the connection is given up instead of what was asked, which is asked again", async () => {
  const { server, session } = await open();
  const asked = session.request("chat", { text: "hello" });
  const first = server.last;
  await pass(10_500);
  assert.equal(server.last.type, "resume");
  server.resume();
  await settle();
  assert.deepEqual(server.last, first);
  server.reply("ok", {});
  await asked;
});

test("a request for which one connection was given up already ends, as it may be the request that takes so long", async () => {
  const { server, session } = await open();
  const asked = code(session.request("chat", { text: "long" }));
  await pass(10_500);
  server.resume();
  await settle();
  await pass(10_000);
  assert.equal(await asked, "timeout");
});

test("a server that answers all but one request is not left", async () => {
  const { server, session } = await open();
  const asked = code(session.request("chat", { text: "hello" }));
  await pass(9_900);
  await pass(100);
  const ping = server.last;
  assert.equal(ping.type, "ping");
  server.reply("ok", {});
  assert.equal(await asked, "timeout");
  assert.equal(server.connections, 1);
});

test("a lost socket is resumed from the last message seen", async () => {
  const { server, session, told } = await open();
  server.send(left);
  server.cut();
  assert.equal(session.state.at, "resuming");
  await pass(400);
  assert.deepEqual(server.last.body, { protocol: 1, session: "s", token: "secret", seq: 2 });
  server.resume(1);
  server.send(left);
  await settle();
  assert.equal(session.state.at, "open");
  assert.equal(told.events.length, 2);
  assert.deepEqual(told.states, ["open", "resuming", "open"]);
});

test("what was asked and not answered is asked again with its id, after the replay", async () => {
  const { server, session } = await open();
  const asked = session.request("chat", { text: "hello" });
  const first = server.last;
  server.cut();
  await pass(400);
  server.resume(1);
  await settle();
  assert.equal(server.last.type, "resume");
  server.send(left);
  await settle();
  assert.deepEqual(server.last, first);
  server.reply("ok", {});
  await asked;
});

test("an answer that the replay brings is not asked for again", async () => {
  const { server, session } = await open();
  const asked = session.request("chat", { text: "hello" });
  const first = server.last;
  server.cut();
  await pass(400);
  server.resume(1);
  server.reply("ok", {}, first);
  await asked;
  await settle();
  assert.equal(server.last.type, "resume");
});

test("while the replay comes nothing is sent; what waits goes in the order in which it was asked", async () => {
  const { server, session, told } = await open();
  const first = session.request("chat", { text: "1" });
  server.cut();
  const second = session.request("chat", { text: "2" });
  await pass(400);
  server.resume(2);
  await settle();
  const third = session.request("chat", { text: "3" });
  server.send(left);
  await settle();
  assert.equal(server.last.type, "resume");
  assert.equal(session.state.at, "resuming");
  server.send(left);
  await settle();
  assert.equal(session.state.at, "open");
  assert.equal(told.events.length, 2);
  const sent = server.requests.slice(-3);
  assert.deepEqual(sent.map((r) => r.body), [{ text: "1" }, { text: "2" }, { text: "3" }]);
  for (const request of sent) server.reply("ok", {}, request);
  await Promise.all([first, second, third]);
});

test("a connection that is lost amid the replay is resumed again, from what had come of it", async () => {
  const { server, session } = await open();
  server.cut();
  await pass(400);
  server.resume(2);
  server.send(left);
  await settle();
  server.cut();
  await pass(1_000);
  assert.deepEqual(server.last.body, { protocol: 1, session: "s", token: "secret", seq: 2 });
  server.resume(1);
  server.send(left);
  await settle();
  assert.equal(session.state.at, "open");
});

test("a replay that does not come is given up with the connection", async () => {
  const { server } = await open();
  server.cut();
  await pass(400);
  server.resume(1);
  await pass(21_000);
  assert.equal(server.connections, 3);
});

test("an observer that throws keeps nobody from the end of a replay", async () => {
  const server = new FakeServer();
  const session = new Session(server, { room: "tea" }, {
    event: () => {
      throw new Error("a fault");
    },
    rejoined: () => undefined,
    stateChanged: () => undefined,
  });
  const opened = session.open();
  await settle();
  server.join();
  await opened;
  server.cut();
  await pass(400);
  server.resume(1);
  await settle();
  assert.throws(() => server.send(left), /a fault/);
  await settle();
  assert.equal(session.state.at, "open");
});

test("requests made while the socket is lost wait for it, without a time limit", async () => {
  const { server, session } = await open();
  server.cut();
  server.reachable = false;
  const asked = session.request("chat", { text: "hello" });
  await pass(15_000);
  server.reachable = true;
  await pass(6_500);
  server.resume();
  await settle();
  assert.equal(server.last.type, "chat");
  server.reply("ok", {});
  await asked;
});

test("the pauses between tries double up to a limit, and vary", () => {
  assert.equal(backoff(0, 0.5), 300);
  assert.equal(backoff(1, 0.5), 600);
  assert.equal(backoff(2, 0.5), 1200);
  assert.equal(backoff(9, 0.5), 5000);
  assert.equal(backoff(1000, 0.5), 5000);
  assert.equal(backoff(0, 0), 225);
  assert.ok(backoff(0, 0.999) < 375);
});

test("a wake-up call ends a pause", async () => {
  const { server, session } = await open();
  server.cut();
  assert.equal(server.connections, 1);
  session.wake();
  await settle();
  assert.equal(server.connections, 2);
});

test("a hole in the numbers makes the session resume from before it", async () => {
  const { server } = await open();
  server.send(left);
  server.lose();
  server.send(left);
  await pass(400);
  assert.equal(server.connections, 2);
  assert.deepEqual(server.last.body, { protocol: 1, session: "s", token: "secret", seq: 2 });
});

test("the same hole again makes it join anew", async () => {
  const { server, told } = await open();
  server.lose();
  server.send(left);
  await pass(400);
  server.resume();
  await settle();
  server.send(left);
  await pass(400);
  assert.equal(server.last.type, "join");
  server.join();
  await settle();
  assert.equal(told.rejoined.length, 1);
});

test("an expired session is joined anew, as the same participant", async () => {
  const { server, session, told } = await open();
  session.remember("ann");
  const asked = code(session.request("chat", { text: "hello" }));
  server.cut();
  await pass(400);
  server.refuse("session-expired");
  await pass(400);
  assert.deepEqual(server.last.body, { room: "tea", protocol: 1, identity: "ann" });
  assert.equal(await asked, "connection"); // whether it was carried out, nobody knows
  server.join();
  await settle();
  assert.deepEqual(told.rejoined, [joined]);
  assert.deepEqual(told.states, ["open", "resuming", "rejoining", "open"]);
});

test("after the server's time for resuming it joins anew without asking", async () => {
  const { server } = await open();
  server.reachable = false;
  server.cut();
  await pass(36_000);
  server.reachable = true;
  await pass(7_000);
  assert.deepEqual(server.requests.map((r) => r.type), ["join", "join"]);
});

test("a draining server is tried again when it says", async () => {
  const { server, session } = await open();
  server.cut();
  await pass(400);
  server.refuse("session-expired");
  await pass(400);
  server.refuse("draining", { retrySeconds: 3 });
  await pass(2_900);
  assert.equal(server.connections, 3);
  await pass(2_000);
  assert.equal(server.connections, 4);
  server.join();
  await settle();
  assert.equal(session.state.at, "open");
});

test("a refusal that stays ends the session", async () => {
  const { server, session } = await open();
  server.cut();
  await pass(400);
  server.refuse("session-expired");
  await pass(400);
  server.refuse("unauthorized");
  await settle();
  assert.ok(session.state.at === "ended" && session.state.error.code === "unauthorized");
});

test("it gives up after five minutes", async () => {
  const { server, session } = await open();
  server.reachable = false;
  server.cut();
  await pass(310_000);
  assert.ok(session.state.at === "ended" && session.state.error.code === "connection");
});

test("time in which the machine slept is none in which it tried", async () => {
  const { server, session } = await open();
  server.reachable = false;
  server.cut();
  await pass(20_000);
  mock.timers.setTime(Date.now() + 3_600_000);
  await pass(10_000);
  assert.equal(session.state.at, "rejoining");
  server.reachable = true;
  await pass(7_000);
  server.join();
  await settle();
  assert.equal(session.state.at, "open");
});

test("each join asks for a token; one that is late, or not given, is asked for again, unless it is the first", async () => {
  const server = new FakeServer();
  const given: (() => string | Promise<string>)[] = [
    () => "first",
    () => new Promise<string>(() => undefined),
    () => Promise.reject(new Error("the page's own server is gone")),
    () => "second",
  ];
  let times = 0;
  const { session } = start(server, () => given[times++]?.() ?? "");
  const opened = session.open();
  await settle();
  assert.deepEqual(server.last.body, { room: "tea", token: "first", protocol: 1 });
  server.join();
  await opened;
  server.send({ type: "ended", body: { code: "internal", message: "again", rejoin: true } });
  await pass(20_000);
  assert.equal(times, 4);
  assert.deepEqual(server.last.body, { room: "tea", token: "second", protocol: 1 });
  server.join();
  await settle();
  assert.equal(session.state.at, "open");

  const failing = start(new FakeServer(), () => Promise.reject(new Error("no token"))).session;
  await assert.rejects(failing.open(), /no token/);
});

test("being kicked ends the session", async () => {
  const { server, session, told } = await open();
  const asked = code(session.request("ping", {}));
  server.send({ type: "ended", body: { code: "kicked", message: "out", rejoin: false } });
  assert.ok(session.state.at === "ended" && session.state.error.code === "kicked");
  assert.deepEqual(told.states, ["open", "ended"]);
  assert.equal(await asked, "kicked");
  assert.equal(server.connected, false);
});

test("a session that ended and may be joined again is", async () => {
  const { server, told } = await open();
  server.send({ type: "ended", body: { code: "draining", message: "going down", rejoin: true } });
  assert.deepEqual(told.reasons, ["draining"]);
  await pass(400);
  assert.equal(server.last.type, "join");
});

test("a silent socket is found by ping and resumed", async () => {
  const { server } = await open();
  await pass(10_000);
  assert.equal(server.last.type, "ping");
  server.reply("ok", {});
  await settle();
  await pass(10_000);
  assert.equal(server.requests.filter((r) => r.type === "ping").length, 2);
  await pass(10_500);
  assert.equal(server.last.type, "resume");
});

test("leaving tells the server and ends everything", async () => {
  const { server, session, told } = await open();
  session.leave();
  assert.equal(server.last.type, "leave");
  assert.equal(server.connected, false);
  assert.deepEqual(told.states, ["open", "ended"]);
  assert.equal(await code(session.request("ping", {})), "left");
});

test("leaving while the socket is lost stops the tries", async () => {
  const { server, session } = await open();
  server.cut();
  session.leave();
  await pass(60_000);
  assert.equal(server.connections, 1);
});

test("too many requests without an answer are refused", async () => {
  const { session } = await open();
  const asked = Array.from({ length: maxWaiting }, () => code(session.request("chat", { text: "x" })));
  assert.equal(await code(session.request("chat", { text: "x" })), "limit");
  session.leave();
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(["left"]));
});

test("a request beyond the size of a message is refused, counted in bytes", async () => {
  const { server, session } = await open();
  assert.equal(await code(session.request("chat", { text: "x".repeat(600_000) })), "too-large");
  assert.equal(await code(session.request("chat", { text: "漢".repeat(180_000) })), "too-large");
  void code(session.request("chat", { text: "漢".repeat(174_000) }));
  assert.equal(server.last.type, "chat");
});

test("what the server finds too large is not sent again: the largest of what is on its way", async () => {
  const { server, session } = await open();
  const [small, large] = [session.request("chat", { text: "x" }), code(session.request("chat", { text: "x".repeat(1000) }))];
  server.cut(1009);
  assert.equal(await large, "too-large");
  await pass(400);
  server.resume();
  await settle();
  assert.deepEqual(server.last.body, { text: "x" });
  server.reply("ok", {});
  await small;
});

test("a check that the server answers changes nothing; without an answer the session resumes at once, over another connection", async () => {
  const { server, session, told } = await open();
  const well = session.check();
  await settle();
  server.reply("ok", {});
  assert.equal(await well, true);
  await pass(2_000);
  assert.equal(server.connections, 1);
  const ill = session.check();
  await pass(499);
  assert.equal(session.state.at, "open");
  await pass(1);
  assert.equal(await ill, false);
  assert.equal(server.connections, 2);
  assert.equal(server.last.type, "resume");
  server.resume();
  await settle();
  assert.equal(session.state.at, "open");
  assert.deepEqual(told.states, ["open", "resuming", "open"]);
});

test("a check while there is no connection does not wait for one", async () => {
  const { server, session } = await open();
  server.reachable = false;
  server.cut();
  assert.equal(await session.check(), false);
});
