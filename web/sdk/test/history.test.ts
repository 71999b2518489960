// Rule: older chat comes from the log page by page, each message once and in order, until its beginning; what else is in the log is passed over.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ParleyError } from "../src/errors.js";
import { ChatHistory, type ReadLog } from "../src/history.js";
import { type Change, RoomState } from "../src/state.js";
import { limits, type ChatMessage, type LogEntry, type LogRead, type Snapshot } from "../src/wire.gen.js";

const message = (id: number): ChatMessage => ({ id, from: "bob", name: "Bob", text: `${id}`, at: new Date(id * 1000).toISOString() });

/** A log in which every n-th entry is chat, with cursors from first on. */
function log(first: number, count: number, every: number): { read: ReadLog; asked: LogRead[] } {
  const entries = Array.from({ length: count }, (_, i): LogEntry => {
    const isChat = i % every === 0;
    return { cursor: first + i, at: "", type: isChat ? "chat" : "participant-joined", body: isChat ? message(i / every + 1) : {} };
  });
  const asked: LogRead[] = [];
  return {
    asked,
    read: async (body) => {
      asked.push(body);
      assert.ok((body.limit ?? 0) >= 1 && (body.limit ?? 0) <= limits.maxLogEntries, `limit ${body.limit}`);
      const found = entries.filter((e) => e.cursor > body.after).slice(0, body.limit);
      const last = first + count - 1;
      return { entries: found, after: Math.max(body.after, found.at(-1)?.cursor ?? last), first, complete: first, last };
    },
  };
}

async function all(history: ChatHistory, known: ChatMessage[]): Promise<ChatMessage[]> {
  let messages = [...known];
  for (let i = 0; i < 100 && !history.isOver; i++) {
    messages = [...(await history.older((m) => messages.some((k) => k.id === m.id))), ...messages];
  }
  return messages;
}

test("every message of the log is given once, in order, whatever else is in it and wherever it begins", async () => {
  for (const [first, count, every] of [[1, 1, 1], [1, 256, 1], [1, 257, 1], [900, 1500, 1], [7, 3000, 40], [1, 700, 700]] as const) {
    const { read } = log(first, count, every);
    const chat = Array.from({ length: Math.ceil(count / every) }, (_, i) => message(i + 1));
    const messages = await all(new ChatHistory(read), chat.slice(-20));
    assert.deepEqual(messages.map((m) => m.id), chat.map((m) => m.id), `${count} entries from ${first}`);
  }
});

test("an empty log is over at once", async () => {
  const history = new ChatHistory(async () => ({ entries: [], after: 0, first: 1, complete: 1, last: 0 }));
  assert.deepEqual(await history.older(() => false), []);
  assert.equal(history.isOver, true);
});

test("nothing is left out where the server gives less than was asked for, as messages are long, and where some of it may not be read", async () => {
  const { read } = log(1, 700, 1);
  const few: ReadLog = async (body) => {
    const all = await read(body);
    const looked = all.entries.slice(0, 60);
    const mayRead = looked.filter((e) => e.cursor % 10 !== 0 && (e.cursor < 200 || e.cursor > 400)); // a whole page is left out, too
    return { ...all, entries: mayRead, after: looked.at(-1)?.cursor ?? all.after };
  };
  const wanted = Array.from({ length: 700 }, (_, i) => i + 1).filter((id) => id % 10 !== 0 && (id < 200 || id > 400));
  assert.deepEqual((await all(new ChatHistory(few), [])).map((m) => m.id), wanted);
});

test("without a log it is over", async () => {
  const history = new ChatHistory(async () => {
    throw new ParleyError("unsupported", "no log is kept");
  });
  await assert.rejects(history.older(() => false), { code: "unsupported" });
  assert.equal(history.isOver, true);
});

test("one call reads so many pages and no more", async () => {
  const { read, asked } = log(1, 100_000, 100_000);
  const history = new ChatHistory(read);
  assert.deepEqual(await history.older(() => false), []);
  assert.equal(asked.length, 1 + 8);
  assert.equal(history.isOver, false);
});

const snapshot = (chat: ChatMessage[]): Snapshot => ({ name: "tea", revision: 1, participants: [], chat, codecs: { audio: [], video: [] }, speakers: { speaking: [] } });

const said = (from: number, to: number): ChatMessage[] => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
const ids = (state: RoomState): number[] => state.messages.map((m) => m.id);
const gaps = (changes: readonly Change[]): number => changes.filter((c) => c.is === "gap").length;

test("what is known stays when older messages and newer ones come and when the room is told anew", () => {
  const state = new RoomState();
  state.replace(snapshot(said(101, 300)));
  assert.equal(state.isCut, true);
  state.addOlder(said(1, 100));
  state.apply({ type: "chat", seq: 1, body: message(301) } as Parameters<RoomState["apply"]>[0]);
  const changes = state.replace(snapshot(said(103, 302)));
  assert.deepEqual(changes.filter((c) => c.is === "message").map((c) => c.message.id), [302]);
  assert.equal(gaps(changes), 0);
  assert.deepEqual(ids(state), said(1, 302).map((m) => m.id));
});

test("where more was said than the server gives, what was known before is let go, as messages between may be missing", () => {
  const state = new RoomState();
  state.replace(snapshot(said(1, 10)));
  assert.equal(state.isCut, false);
  state.apply({ type: "chat", seq: 1, body: { ...message(11), to: "ann" } } as Parameters<RoomState["apply"]>[0]);
  assert.equal(gaps(state.replace(snapshot(said(12, 211)))), 1);
  assert.deepEqual(ids(state), said(11, 211).map((m) => m.id), "what was private is not in the log");
  assert.equal(state.isCut, true);
});

test("what others forgot, as their server began anew, is not forgotten here", () => {
  const state = new RoomState();
  state.replace(snapshot(said(1, 10)));
  assert.equal(gaps(state.replace(snapshot([]))), 0);
  assert.deepEqual(ids(state), said(1, 10).map((m) => m.id));
});

test("what lies behind millions of changes that are gone is found, and nothing is left out where it is dense again", async () => {
  const chat = [...Array.from({ length: 3000 }, (_, i) => i + 1), 5_000, 400_000, 2_000_000, ...Array.from({ length: 300 }, (_, i) => 9_000_000 + i)];
  const last = 9_010_000; // behind the chat are changes
  const entries = [...chat.map((cursor): LogEntry => ({ cursor, at: "", type: "chat", body: message(cursor) })),
    ...Array.from({ length: 9_700 }, (_, i): LogEntry => ({ cursor: 9_000_301 + i, at: "", type: "record-changed", body: {} }))];
  let asked = 0;
  const history = new ChatHistory(async (body) => {
    asked++;
    const found = entries.filter((e) => e.cursor > body.after).slice(0, body.limit);
    return { entries: found, after: Math.max(body.after, found.at(-1)?.cursor ?? last), first: 1, complete: 9_000_301, last };
  });
  let messages: ChatMessage[] = [];
  let calls = 0;
  for (; !history.isOver; calls++) {
    const before = asked;
    messages = [...(await history.older(() => false)), ...messages];
    assert.ok(asked - before <= 1 + 8, `${asked - before} readings in one call`);
    assert.ok(calls < 60, `${calls} calls have found ${messages.length} of ${chat.length}`);
  }
  assert.deepEqual(messages.map((m) => m.id), chat);
});
