// Rule: older chat comes from the log page by page, each message once and in order, until its beginning; what else is in the log is passed over.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatHistory, type ReadLog } from "../src/history.js";
import { RoomState } from "../src/state.js";
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
      return { entries: found, first, last: first + count - 1 };
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
  const history = new ChatHistory(async () => ({ entries: [], first: 1, last: 0 }));
  assert.deepEqual(await history.older(() => false), []);
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

test("who has read older messages keeps them, also when newer ones come and when the room is told anew", () => {
  const state = new RoomState();
  const last = Array.from({ length: limits.maxChatKept }, (_, i) => message(i + 101));
  state.replace(snapshot(last));
  state.addOlder(Array.from({ length: 100 }, (_, i) => message(i + 1)));
  state.apply({ type: "chat", seq: 1, body: message(301) } as Parameters<RoomState["apply"]>[0]);
  state.replace(snapshot([...last, message(301), message(302)].slice(-limits.maxChatKept)));
  assert.deepEqual(state.messages.map((m) => m.id), Array.from({ length: 302 }, (_, i) => i + 1));
});

test("who has not keeps as many as the server gives", () => {
  const state = new RoomState();
  state.replace(snapshot(Array.from({ length: limits.maxChatKept }, (_, i) => message(i + 1))));
  state.apply({ type: "chat", seq: 1, body: message(201) } as Parameters<RoomState["apply"]>[0]);
  assert.deepEqual([state.messages.length, state.messages[0]?.id], [limits.maxChatKept, 2]);
});
