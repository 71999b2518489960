// Rule: suggested rooms are three plain words; a typed name becomes one that an address can hold and the server takes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathOfRoom, roomFrom, roomOfPath, suggestRoom } from "../src/pure/room-name.js";

test("suggestions are three words of plain letters", () => {
  for (let i = 0; i < 500; i++) assert.match(suggestRoom(), /^[a-z]+-[a-z]+-[a-z]+$/);
});

test("suggestions follow the random source, to its ends", () => {
  assert.equal(suggestRoom(() => 0), "amber-badger-arbor");
  assert.equal(suggestRoom(() => 0.999999), "young-wren-wood");
});

test("suggestions seldom repeat", () => {
  const names = new Set(Array.from({ length: 200 }, () => suggestRoom()));
  assert.ok(names.size > 190);
});

test("typed names are made fit", () => {
  const table: [typed: string, room: string][] = [
    ["Team Tea", "team-tea"],
    ["  a   b ", "a-b"],
    ["a/b?c#d", "a-b-c-d"],
    ["Überraschung", "überraschung"],
    ["https://meet.example/r/calm-otter-bridge#token=x", "calm-otter-bridge"],
    ["https://meet.example/r/%C3%BCber", "über"],
    ["\u0000\u200b", ""],
    ["   ", ""],
    ["..", ""],
    ["https://meet.example/r/%2E%2e", ""],
    ["...", "..."],
    ["x".repeat(300), "x".repeat(128)],
    ["é".repeat(100), "é".repeat(64)],
  ];
  for (const [typed, room] of table) assert.equal(roomFrom(typed), room, JSON.stringify(typed));
});

test("paths name rooms, and back", () => {
  for (const room of ["tea", "über", "a b", "50%"]) assert.equal(roomOfPath(pathOfRoom(room)), room);
  assert.equal(roomOfPath("/"), undefined);
  assert.equal(roomOfPath("/r/"), undefined);
  assert.equal(roomOfPath("/r/%"), "%");
  assert.equal(roomOfPath("/r/a/b"), undefined);
});
