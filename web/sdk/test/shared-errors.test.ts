// Rule: whatever the server refuses of shared state with a code of docs/protocol.md, section 18.9, is told with that code, what the server says is
// wrong, and what it says can be done; but for what is tried again as it may go better, and what an operation has a better answer for.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { ConflictError, ParleyError } from "../src/errors.js";
import type { Code, Error as WireError } from "../src/wire.gen.js";
import { type FakeServer, settle } from "./fake-server.js";
import { asked, open, type Opened, record } from "./shared-room.js";

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const codes: readonly Code[] = [
  "bad-request", "too-large", "limit", "rate", "forbidden", "not-found", "conflict", "no-provider", "rpc-failed", "timeout", "overloaded", "unsupported", "session-expired", "internal",
];
/** What is asked again for what is kept until somebody ends it, and for what changes nothing. */
const passing: readonly Code[] = ["rate", "overloaded", "timeout", "internal"];
const crowded: readonly Code[] = ["rate", "overloaded"];

interface Operation {
  /** How its request is refused. */
  readonly refuse: (server: FakeServer, error: WireError) => void;
  /** What is told of it. */
  readonly outcome: (all: Opened) => Promise<unknown> | unknown;
  /** Codes that are not told. */
  readonly but?: readonly Code[];
}

const whole = (server: FakeServer, { code, ...more }: WireError): void => server.refuse(code, more);
const item = (type: string) => (server: FakeServer, error: WireError) => server.reply(type, { results: [{ name: "board", error }] });
const unsubscribed = (kind: string, name: string) => (server: FakeServer, error: WireError) =>
  server.send({ type: "state-unsubscribed", body: { scope: "room", kind, name, error } });
const handlers = { start: () => undefined, stop: () => undefined };

/** Something that is kept, and that the server agrees to. */
function kept(all: Opened, begin: (ended: (error: ParleyError) => void) => Promise<unknown>, type: string, body: object): Promise<unknown> {
  return new Promise((_, reject) => {
    begin(reject).catch(reject);
    void settle().then(() => all.server.reply(type, body));
  });
}

async function written(all: Opened, act: "set" | "delete"): Promise<void> {
  const board = await record(all, { a: 1 });
  await (act === "set" ? board.set("a", 2) : board.delete());
}

const operations: Readonly<Record<string, Operation>> = {
  "a record, refused alone": { refuse: item("records"), outcome: ({ state }) => state.record("board") },
  "a record, refused whole": { refuse: whole, outcome: ({ state }) => state.record("board"), but: passing },
  "a record that ends": {
    refuse: unsubscribed("record", "board"),
    outcome: async (all) => {
      const board = await record(all, { a: 1 });
      return new Promise((_, reject) => board.addEventListener("ended", (e) => reject(e.error)));
    },
  },
  "a write": { refuse: whole, outcome: (all) => written(all, "set"), but: crowded },
  "a deletion": { refuse: whole, outcome: (all) => written(all, "delete"), but: crowded },
  "a snapshot": { refuse: item("records"), outcome: ({ state }) => state.snapshot("board"), but: ["not-found"] },
  "a snapshot, refused whole": { refuse: whole, outcome: ({ state }) => state.snapshot("board"), but: crowded },
  "a head": { refuse: item("records"), outcome: ({ state }) => state.head("board") },
  "whether it exists": { refuse: item("records"), outcome: ({ state }) => state.has("board"), but: ["not-found"] },
  "a history": { refuse: item("records"), outcome: async (all) => (await record(all, { a: 1 })).history(1), but: ["not-found"] },
  "an event": { refuse: whole, outcome: ({ state }) => state.event("wave").publish(1) },
  "a subscription": { refuse: item("subscribed"), outcome: ({ state }) => state.event("wave").subscribe(() => undefined) },
  "a subscription, refused whole": { refuse: whole, outcome: ({ state }) => state.event("wave").subscribe(() => undefined), but: passing },
  "a subscription that ends": {
    refuse: unsubscribed("event", "wave"),
    outcome: (all) => kept(all, (ended) => all.state.event("wave").subscribe(() => undefined, { ended }), "subscribed", { results: [{}] }),
  },
  "a call": { refuse: whole, outcome: ({ state }) => state.rpc("add").request() },
  "a call's result": {
    refuse: (server, error) => server.send({ type: "rpc-result", body: { scope: "room", call: 1, error } }),
    outcome: ({ state }) => state.rpc("add").request(),
  },
  "a provider": { refuse: item("subscribed"), outcome: ({ state }) => state.rpc("add").provide(() => 1) },
  "a provider that ends": {
    refuse: unsubscribed("rpc", "add"),
    outcome: (all) => kept(all, (ended) => all.state.rpc("add").provide(() => 1, { ended }), "subscribed", { results: [{}] }),
  },
  "a pattern": { refuse: whole, outcome: ({ state }) => state.listen("x*", handlers), but: passing },
  "a pattern that ends": {
    refuse: unsubscribed("listen-record", "x*"),
    outcome: (all) => kept(all, (ended) => all.state.listen("x*", { ...handlers, ended }), "ok", {}),
  },
  "who is there": { refuse: whole, outcome: ({ state }) => state.presence.list(), but: crowded },
  "whether one is there": {
    refuse: (server, error) => server.reply("present", { identities: [], refused: [{ name: "bob", error }] }),
    outcome: ({ state }) => state.presence.list(["bob"]),
  },
  "watching one": {
    refuse: (server, error) => server.reply("present", { identities: [], refused: [{ name: "bob", error }] }),
    outcome: ({ state }) => state.presence.watch(["bob"]),
  },
  "watching all": { refuse: whole, outcome: ({ state }) => state.presence.watch(), but: passing },
  "watching that ends": {
    refuse: unsubscribed("presence", "bob"),
    outcome: (all) =>
      kept(all, async (ended) => {
        all.state.presence.addEventListener("ended", (e) => ended(e.error));
        await all.state.presence.watch(["bob"]);
      }, "present", { identities: [] }),
  },
};

test("each code, of each operation", async () => {
  for (const [name, { refuse, outcome, but = [] }] of Object.entries(operations)) {
    for (const code of codes.filter((c) => !but.includes(c))) {
      const all = await open();
      let told: unknown;
      Promise.resolve(outcome(all)).then(() => (told = "nothing"), (reason: unknown) => (told = reason));
      for (let i = 0; i < 3; i++) await settle();
      refuse(all.server, { code, message: "what is wrong", next: "what to do", retrySeconds: 7 });
      await settle();
      assert.ok(told instanceof ParleyError, `${name}, ${code}: ${String(told)}`);
      assert.equal(told.code, code, name);
      if (told instanceof ConflictError && (name === "a write" || name === "a deletion")) {
        assert.deepEqual([told.message, told.next], ["Others have changed what was written.", "Look at what is there, and write again."]);
      } else assert.deepEqual([told.message, told.next, told.retrySeconds], ["what is wrong", "what to do", 7], `${name}, ${code}`);
      all.session.leave();
    }
  }
});

test("a conflict tells the record as it is", async () => {
  const all = await open();
  const board = await record(all, { a: 1 });
  const write = board.set("a", 2, { version: 5 });
  await settle();
  const current = { name: "board", incarnation: 3, version: 6, value: { a: 6 } };
  all.server.refuse("conflict", { current }, asked(all.server, "record-write")[0]);
  await assert.rejects(write, (e: unknown) => e instanceof ConflictError && e.current?.version === 6);
});
