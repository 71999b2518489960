// Rule: of an invitation's claims its name, its room and whether one only watches are read, and from anything else nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { roomProblem } from "../src/pure/advice.js";
import { faultOf, invitationCommand, readInvitation } from "../src/pure/invitation.js";

const token = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

test("name and room are read, in any script", () => {
  assert.deepEqual(readInvitation(token({ sub: "zoe-1", name: "Zoë ☕ 名", video: { room: "tea" } })), { name: "Zoë ☕ 名", room: "tea", expires: undefined, microphone: true, camera: true });
  assert.deepEqual(readInvitation(token({ sub: "guest", exp: 1800 })), { name: "", room: "", expires: 1_800_000, microphone: true, camera: true });
});

test("who may only watch, or only be heard, is known from it", () => {
  const may = (video: object): readonly boolean[] => {
    const { microphone, camera } = readInvitation(token({ video: { room: "tea", ...video } }));
    return [microphone, camera];
  };
  assert.deepEqual(may({ canPublish: true, canPublishSources: [] }), [true, true]);
  assert.deepEqual(may({ canPublish: false, canPublishSources: ["microphone"] }), [false, false]);
  assert.deepEqual(may({ canPublishSources: ["microphone", "screen_share"] }), [true, false]);
});

test("what is no invitation says nothing", () => {
  for (const bad of ["", "a.b.c", "a.!.c", token(null), token([1]), token({ name: 7, video: "tea", exp: "1800" }), token({ video: { room: ["tea"] } })]) {
    assert.deepEqual(readInvitation(bad), { name: "", room: "", expires: undefined, microphone: true, camera: true }, bad);
  }
});

test("one that is refused is missing, has expired, or is not of this server", () => {
  const until = (exp?: number): ReturnType<typeof faultOf> => faultOf(readInvitation(token({ exp })), 1_800_000);
  assert.deepEqual([faultOf(undefined, 0), until(1800), until(1801), until(), faultOf(readInvitation("cut off"), 0)], ["missing", "expired", "foreign", "foreign", "foreign"]);
});

test("the command can be pasted into a shell, whatever the room is called", () => {
  assert.equal(invitationCommand("calm-otter-bridge"), "parley token --room calm-otter-bridge --name NAME");
  assert.equal(invitationCommand("Ann's $(room)"), `parley token --room 'Ann'\\''s $(room)' --name NAME`);
});

test("a room that cannot be entered is told before joining", () => {
  assert.equal(roomProblem("tea", ""), undefined);
  assert.equal(roomProblem("tea", "tea"), undefined);
  assert.equal(roomProblem("é".repeat(64), ""), undefined);
  assert.equal(roomProblem("é".repeat(65), "")?.title, "The name of this room is too long");
  const other = roomProblem("tea", "coffee");
  assert.equal(other?.title, "Your invitation is for another room");
  assert.match(other?.next ?? "", /“coffee”.*“tea”/);
});
