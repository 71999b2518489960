// Rule: at most four messages, and none of them twice. Those with something to do stay long enough to do it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lifeMs, type Toast, withToast } from "../src/pure/toasts.js";

let id = 0;
const toast = (text: string, next = ""): Toast => ({ id: ++id, text, next, step: undefined });
const texts = (toasts: readonly Toast[]): string[] => toasts.map((t) => t.text + t.next);

test("the same message takes the place of the one before", () => {
  const [first, again] = [toast("too long", "shorten it"), toast("too long", "shorten it")];
  const all = withToast(withToast(withToast([], first), toast("Bob joined")), again);
  assert.deepEqual(texts(all), ["Bob joined", "too longshorten it"]);
  assert.equal(all.at(-1)?.id, again.id);
  assert.equal(withToast(all, toast("too long", "another way")).length, 3);
});

test("the oldest of five goes", () => {
  const five = ["a", "b", "c", "d", "e"].reduce<readonly Toast[]>((all, text) => withToast(all, toast(text)), []);
  assert.deepEqual(texts(five), ["b", "c", "d", "e"]);
});

test("a message that asks for something stays longer", () => {
  const does = (): void => undefined;
  const plain = lifeMs(toast("Bob joined"));
  assert.ok(lifeMs(toast("too long", "shorten it")) >= 2 * plain);
  assert.ok(lifeMs({ ...toast("Ann has drawn"), step: { label: "Look", does } }) >= 2 * plain);
});
