// What the browser refused to play, and when it is played after all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockedElements, type Playable } from "../src/blocked.js";

/** An element that counts how often it was to play; refusal is why it does not. */
class Element implements Playable {
  srcObject: unknown = {};
  refusal: Error | undefined = new DOMException("no gesture", "NotAllowedError");
  plays = 0;

  async play(): Promise<void> {
    this.plays++;
    if (this.refusal) throw this.refusal;
  }
}

function blocked(...elements: Element[]): { all: BlockedElements; allowed: () => number } {
  let times = 0;
  const all = new BlockedElements(() => times++);
  for (const e of elements) all.add(e);
  return { all, allowed: () => times };
}

test("what is refused again stays blocked, and is told to play once all of it does", async () => {
  const [a, b] = [new Element(), new Element()];
  const { all, allowed } = blocked(a, b);
  a.refusal = undefined;
  await all.tryAgain();
  assert.equal(allowed(), 0);
  b.refusal = undefined;
  await all.tryAgain();
  assert.equal(allowed(), 1);
  assert.deepEqual([a.plays, b.plays], [1, 2], "what plays is left alone");
  await all.tryAgain();
  assert.equal(allowed(), 1);
});

test("an element without a source is not waited for", async () => {
  const gone = new Element();
  gone.srcObject = null;
  const { all, allowed } = blocked(gone);
  await all.tryAgain();
  assert.deepEqual([gone.plays, allowed()], [0, 1]);
});

test("what fails for another reason is not tried for ever", async () => {
  const broken = new Element();
  broken.refusal = new DOMException("another source meanwhile", "AbortError");
  const { all } = blocked(broken);
  await all.tryAgain();
  await all.tryAgain();
  assert.equal(broken.plays, 1);
});
