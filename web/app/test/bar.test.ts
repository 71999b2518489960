// Rule: buttons of 44 px stand 6 px apart; for what has no room then, the menu is the place.

import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutRoom } from "../src/pure/bar.js";

/** Microphone, camera, chat, menu and leave. */
const staying = 5;
const phones = { large: 390 - 16, common: 360 - 16, small: 320 - 16 };

test("a desk has room for everything", () => {
  assert.deepEqual(withoutRoom(["share", "people", "hand"], staying, 800), []);
});

test("on a phone, sharing goes to the menu first, then the people", () => {
  assert.deepEqual(withoutRoom(["share", "people", "hand"], staying, phones.large), ["share"]);
  assert.deepEqual(withoutRoom(["share", "people", "hand"], staying, phones.common), ["share"]);
  assert.deepEqual(withoutRoom(["share", "people", "hand"], staying, phones.small), ["share", "people"]);
});

test("a phone whose browser shares no screens has all of the others in its bar", () => {
  assert.deepEqual(withoutRoom(["people", "hand"], staying, phones.common), []);
  assert.deepEqual(withoutRoom(["people", "hand"], staying, phones.small), ["people"]);
});

test("whatever the width, buttons that stay in the bar have their size and gap, or only those that always stay are left", () => {
  for (let width = 200; width < 700; width++) {
    const hidden = withoutRoom(["share", "people", "hand"], staying, width);
    const count = staying + 3 - hidden.length;
    assert.ok(count * 44 + (count - 1) * 6 <= width || hidden.length === 3, `${count} buttons in ${width} px`);
  }
});
