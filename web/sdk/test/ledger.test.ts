import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger } from "../src/ledger.js";
import type { ServerMessage } from "../src/signalling/carrier.js";

const event = (seq: number): ServerMessage => ({ seq, type: "participant-left", body: { identity: "bob", reason: "left" } });
const reply = (seq: number, to: number): ServerMessage => ({ seq, reply: to, type: "ok", body: {} });

/** A ledger whose session has begun: the next message is number 2. */
function joined(): Ledger {
  const ledger = new Ledger();
  const join = ledger.ask("join", { protocol: 1, room: "tea" });
  const message = { seq: 1, reply: join.id, type: "joined", body: {} } as ServerMessage;
  assert.equal(ledger.read(message).is, "reply");
  return ledger;
}

test("messages are taken in order, each once", () => {
  const ledger = joined();
  assert.equal(ledger.read(event(2)).is, "event");
  assert.equal(ledger.read(event(2)).is, "known");
  assert.equal(ledger.read(event(1)).is, "known");
  assert.equal(ledger.read(event(3)).is, "event");
  assert.equal(ledger.seen, 3);
});

test("a hole is not skipped", () => {
  const ledger = joined();
  assert.equal(ledger.read(event(3)).is, "gap");
  assert.equal(ledger.seen, 1);
  assert.equal(ledger.read(event(2)).is, "event");
});

test("a reply finds its request, and only once", () => {
  const ledger = joined();
  const mute = ledger.ask("mute", { publication: "p1", muted: true });
  const reading = ledger.read(reply(2, mute.id));
  assert.equal(reading.is, "reply");
  assert.equal(reading.is === "reply" && reading.request, mute);
  assert.equal(ledger.read(reply(3, mute.id)).is, "known"); // answered again after a repetition
  assert.equal(ledger.seen, 3);
});

test("a reply that nobody waits for counts in the numbering", () => {
  const ledger = joined();
  const mute = ledger.ask("mute", { publication: "p1", muted: true });
  ledger.forget(mute.id);
  assert.equal(ledger.read(reply(2, mute.id)).is, "known");
  assert.equal(ledger.seen, 2);
});

test("the reply to resume stands outside the numbers, and what follows goes on with them", () => {
  const ledger = joined();
  ledger.read(event(2));
  const resume = ledger.ask("resume", { protocol: 1, session: "s", token: "t", seq: ledger.seen });
  const resumed: ServerMessage = { seq: 0, reply: resume.id, type: "resumed", body: { session: "s", revision: 3, replayed: 1 } };
  assert.equal(ledger.read(resumed).is, "reply");
  assert.equal(ledger.seen, 2);
  assert.equal(ledger.read(event(3)).is, "event");
});

test("a refused resume does not disturb the numbers", () => {
  const ledger = joined();
  ledger.read(event(2));
  const resume = ledger.ask("resume", { protocol: 1, session: "s", token: "t", seq: 2 });
  const refused: ServerMessage = { seq: 0, reply: resume.id, type: "error", body: { code: "session-expired", message: "gone" } };
  assert.equal(ledger.read(refused).is, "reply");
  assert.equal(ledger.seen, 2);
});

test("requests without a reply are repeated, those that open a session are not", () => {
  const ledger = joined();
  ledger.ask("resume", { protocol: 1, session: "s", token: "t", seq: 1 });
  const chat = ledger.ask("chat", { text: "hello" });
  const mute = ledger.ask("mute", { publication: "p1", muted: true });
  ledger.read(reply(2, mute.id));
  assert.deepEqual(ledger.unanswered(), [chat]);
});

test("a new session starts its numbers anew, and ids of requests go on", () => {
  const ledger = joined();
  const old = ledger.ask("chat", { text: "hello" });
  ledger.read(event(2));
  ledger.restart();
  assert.deepEqual(ledger.unanswered(), []);
  const join = ledger.ask("join", { protocol: 1, room: "tea" });
  assert.ok(join.id > old.id);
  assert.equal(ledger.read({ seq: 1, reply: join.id, type: "joined", body: {} } as ServerMessage).is, "reply");
  assert.equal(ledger.seen, 1);
});

test("an error about something that was no request is an event that counts", () => {
  const ledger = joined();
  const message = { seq: 2, type: "error", body: { code: "bad-request", message: "?" } } as unknown as ServerMessage;
  assert.equal(ledger.read(message).is, "event");
  assert.equal(ledger.seen, 2);
});
