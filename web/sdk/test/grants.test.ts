// Rule: what may be published follows from the grant and from the sources to which it is limited, and every change of either is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalParticipant } from "../src/participant.js";
import type { Grants, Source } from "../src/wire.gen.js";

const all: Grants = { publish: true, subscribe: true, publishData: true, admin: false, hidden: false };
const facts = { identity: "ann", joinedAt: "2026-11-28T12:00:00Z" };
const sources = ["microphone", "camera", "screen", "screen-audio", "other"] as const satisfies readonly Source[];

const published = (ann: LocalParticipant): Source[] => sources.filter((source) => ann.mayPublish(source));

test("without a list every source may be published, with one those that it names, and none without the grant", () => {
  assert.deepEqual(published(new LocalParticipant(facts, { grants: all })), sources);
  assert.deepEqual(published(new LocalParticipant(facts, { grants: all, sources: ["microphone"] })), ["microphone"]);
  assert.deepEqual(published(new LocalParticipant(facts, { grants: { ...all, publish: false }, sources: ["microphone"] })), []);
});

test("a ruling that changes nothing is none; one that changes sources alone is", () => {
  const ann = new LocalParticipant(facts, { grants: all });
  assert.equal(ann.granted({ grants: { ...all } }), false);
  assert.equal(ann.granted({ grants: all, sources: ["camera", "microphone"] }), true);
  assert.equal(ann.granted({ grants: all, sources: ["microphone", "camera"] }), false);
  assert.equal(ann.granted({ grants: all, sources: ["microphone", "screen"] }), true);
  assert.deepEqual(published(ann), ["microphone", "screen"]);
  assert.equal(ann.granted({ grants: { ...all, publishData: false }, sources: ["microphone", "screen"] }), true);
  assert.equal(ann.granted({ grants: all }), true);
});
