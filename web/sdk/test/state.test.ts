import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, maxMessages, RoomState } from "../src/state.js";
import type { ChatMessage, EventMessage, Events, Participant, Publication, Snapshot } from "../src/wire.gen.js";

const camera = (id: string, more: Partial<Publication> = {}): Publication => ({ id, kind: "video", source: "camera", codec: "vp8", ...more });
const someone = (identity: string, ...publications: Publication[]): Participant => ({ identity, joinedAt: "2026-01-01T00:00:00Z", publications });
const said = (id: number, text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  id,
  from: "bob",
  text,
  at: `2026-01-01T00:00:${String(id).padStart(2, "0")}Z`,
  ...more,
});
const snapshot = (revision: number, participants: Participant[], chat: ChatMessage[] = []): Snapshot => ({
  name: "tea",
  revision,
  participants,
  chat,
  codecs: { audio: ["opus"], video: ["vp8"] },
  speakers: { speaking: [] },
});

const grants = { publish: true, subscribe: true, publishData: true, admin: false, hidden: false };

function event<T extends keyof Events>(rev: number | undefined, type: T, body: Events[T]): EventMessage {
  return { seq: 1, type, body, ...(rev !== undefined && { rev }) } as EventMessage;
}

/** Changes in short: "published ann p1". */
function short(changes: readonly Change[]): string[] {
  return changes
    .filter((c) => c.is !== "codecs")
    .map((c) => {
      switch (c.is) {
        case "participant-joined":
          return `joined ${c.participant.identity}`;
        case "participant-left":
          return `left ${c.identity} ${c.reason}`;
        case "participant-updated":
          return `updated ${c.identity} ${c.name}`;
        case "published":
          return `published ${c.identity} ${c.publication.id}`;
        case "republished":
          return `republished ${c.identity} ${c.before} ${c.publication.id}`;
        case "unpublished":
          return `unpublished ${c.identity} ${c.publication}`;
        case "muted":
          return `${c.muted ? "muted" : "unmuted"} ${c.publication}`;
        case "gap":
          return "gap";
        case "message":
          return `message ${c.message.text}`;
        case "speakers":
          return `speakers ${c.speakers.dominant ?? "nobody"}: ${c.speakers.speaking.join(" ")}`;
      }
    });
}

test("events change the room, one at a time", () => {
  const room = new RoomState();
  room.replace(snapshot(1, []));
  const steps: [EventMessage, string[]][] = [
    [event(2, "participant-joined", { participant: someone("bob", camera("p1")) }), ["joined bob", "published bob p1"]],
    [event(3, "track-published", { identity: "bob", publication: camera("p2", { source: "screen" }) }), ["published bob p2"]],
    [event(4, "track-muted", { identity: "bob", publication: "p1", muted: true }), ["muted p1"]],
    [event(5, "participant-updated", { identity: "bob", name: "Bob", metadata: "" }), ["updated bob Bob"]],
    [event(6, "track-unpublished", { identity: "bob", publication: "p2" }), ["unpublished bob p2"]],
    [event(7, "chat", said(1, "hello")), ["message hello"]],
    [event(8, "speakers", { dominant: "bob", speaking: ["bob"] }), ["speakers bob: bob"]],
    [event(9, "speakers", { dominant: "bob", speaking: [] }), ["speakers bob: "]],
    [event(10, "participant-left", { identity: "bob", reason: "kicked" }), ["unpublished bob p1", "left bob kicked"]],
  ];
  for (const [message, want] of steps) assert.deepEqual(short(room.apply(message)), want);
  assert.equal(room.revision, 10);
});

test("an event from before the snapshot changes nothing", () => {
  const room = new RoomState();
  room.replace(snapshot(10, []));
  assert.deepEqual(room.apply(event(9, "participant-joined", { participant: someone("bob") })), []);
  assert.deepEqual(short(room.apply(event(12, "participant-joined", { participant: someone("bob") }))), ["joined bob"]); // revisions may skip
});

test("an event that tells what is known changes nothing", () => {
  const room = new RoomState();
  room.replace(snapshot(1, [someone("bob", camera("p1", { muted: true }))], [said(1, "hello")]));
  for (const message of [
    event(1, "participant-joined", { participant: someone("bob", camera("p1", { muted: true })) }),
    event(1, "track-published", { identity: "bob", publication: camera("p1") }),
    event(1, "track-muted", { identity: "bob", publication: "p1", muted: true }),
    event(1, "chat", said(1, "hello")),
    event(1, "track-unpublished", { identity: "bob", publication: "p9" }),
    event(1, "participant-left", { identity: "eve", reason: "left" }),
    event(1, "track-published", { identity: "eve", publication: camera("p9") }),
    event(1, "speakers", { speaking: [] }),
  ]) {
    assert.deepEqual(short(room.apply(message)), []);
  }
});

test("a resync tells only the difference", () => {
  const room = new RoomState();
  room.replace(snapshot(1, [someone("bob", camera("p1")), someone("eve")], [said(1, "hello")]));
  const now = {
    ...snapshot(9, [someone("bob", camera("p1", { muted: true }), camera("p3", { source: "screen" })), someone("dan")], [said(1, "hello"), said(2, "again")]),
    speakers: { dominant: "dan", speaking: [] },
  };
  const changes = room.apply(event(undefined, "resync", { room: now, slots: [], subscriptions: [], encodings: [], grants }));
  assert.deepEqual(short(changes), ["left eve left", "muted p1", "published bob p3", "joined dan", "message again", "speakers dan: "]);
  assert.equal(room.revision, 9);
});

test("the same track under a new id is the same track", () => {
  const room = new RoomState();
  room.replace(snapshot(7, [someone("bob", camera("p7"), camera("p8", { source: "screen" }))]));
  // The server was started anew: revisions and ids begin again.
  const changes = room.replace(snapshot(2, [someone("bob", camera("p1"))]));
  assert.deepEqual(short(changes), ["unpublished bob p8", "republished bob p7 p1"]);
  assert.equal(room.revision, 2);
});

test("an id that now belongs to another kind of track is another track", () => {
  const room = new RoomState();
  room.replace(snapshot(7, [someone("bob", camera("p1"))]));
  const changes = room.replace(snapshot(2, [someone("bob", { id: "p1", kind: "audio", source: "microphone", codec: "opus" })]));
  assert.deepEqual(short(changes), ["unpublished bob p1", "published bob p1"]);
});

test("private messages outlive a snapshot, which does not have them", () => {
  const room = new RoomState();
  room.replace(snapshot(1, [], [said(1, "hello")]));
  room.apply(event(undefined, "chat", said(2, "psst", { to: "ann" })));
  assert.deepEqual(short(room.replace(snapshot(3, [], [said(1, "hello"), said(3, "bye")]))), ["message bye"]);
  assert.deepEqual(room.messages.map((m) => m.text), ["hello", "psst", "bye"]);
});

test("chat keeps the newest 5,000", () => {
  const room = new RoomState();
  room.replace(snapshot(1, []));
  for (let id = 1; id <= maxMessages + 1; id++) room.apply(event(id + 1, "chat", said(id, `m${id}`)));
  assert.equal(room.messages.length, 5_000);
  assert.equal(room.messages[0]?.text, "m2");
});

test("lists may be missing where they are empty", () => {
  const room = new RoomState();
  const bare = { name: "tea", revision: 1, participants: null, chat: null } as unknown as Snapshot;
  assert.deepEqual(short(room.replace(bare)), []);
  assert.deepEqual(room.codecs, { audio: [], video: [] });
});
