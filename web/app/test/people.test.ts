// Rule: any name has initials and a lasting hue, and lists of names read as a sentence would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bitrateText, hueOf, initials, listNames } from "../src/pure/people.js";

test("initials", () => {
  const table: [name: string, letters: string][] = [
    ["Ann", "A"],
    ["Ann Lee", "AL"],
    ["ann maria lee", "AL"],
    ["björn-åke", "BÅ"],
    ["ann.lee", "AL"],
    ["王小明", "王"],
    ["🙂", "?"],
    ["", "?"],
    ["7 of 9", "79"],
  ];
  for (const [name, letters] of table) assert.equal(initials(name), letters, name);
});

test("a hue stays with its identity and is a number of degrees", () => {
  for (const identity of ["ann", "bob", "", "王"]) {
    assert.equal(hueOf(identity), hueOf(identity));
    assert.ok(hueOf(identity) >= 0 && hueOf(identity) < 360);
  }
  assert.notEqual(hueOf("ann"), hueOf("bob"));
});

test("lists of names", () => {
  assert.equal(listNames([]), "");
  assert.equal(listNames(["Ann"]), "Ann");
  assert.equal(listNames(["Ann", "Bob"]), "Ann and Bob");
  assert.equal(listNames(["Ann", "Bob", "Cy"]), "Ann, Bob and 1 other");
  assert.equal(listNames(["Ann", "Bob", "Cy", "Di"]), "Ann, Bob and 2 others");
});

test("bitrates have a unit that fits", () => {
  assert.equal(bitrateText(0), "0 kbit/s");
  assert.equal(bitrateText(850_400), "850 kbit/s");
  assert.equal(bitrateText(999_600), "1.0 Mbit/s");
  assert.equal(bitrateText(2_440_000), "2.4 Mbit/s");
});
