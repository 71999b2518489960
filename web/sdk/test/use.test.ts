// How a subscription is used: the size of its place, and when the server hears of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { wantedSize } from "../src/places.js";
import { defaultUse, difference, Teller } from "../src/use.js";

test("a picture is as large as what can be seen of it, in pixels of the screen, and a little less", () => {
  const wide = { width: 1280, height: 720 };
  for (const [box, picture, covers, ratio, want] of [
    [{ width: 640, height: 360 }, wide, false, 1, [576, 324]],
    [{ width: 640, height: 360 }, wide, false, 2, [1152, 648]],
    [{ width: 640, height: 640 }, wide, false, 1, [576, 324]], // bars above and below
    [{ width: 640, height: 640 }, wide, true, 1, [1024, 576]], // its sides are cut off
    [{ width: 640, height: 360 }, { width: 720, height: 1280 }, false, 1, [183, 324]],
    [{ width: 640, height: 360 }, undefined, false, 1, [576, 324]],
    [{ width: 640, height: 360 }, { width: 0, height: 0 }, true, 1, [576, 324]], // nothing has come yet
    [{ width: 20_000, height: 10_000 }, wide, false, 1, [8192, 8192]],
  ] as const) {
    const size = wantedSize(box, picture, covers, ratio);
    assert.deepEqual([size.width, size.height], want);
  }
});

test("only what differs is told", () => {
  assert.equal(difference(defaultUse, { ...defaultUse }), undefined);
  assert.deepEqual(difference(defaultUse, { ...defaultUse, width: 3, paused: true }), { width: 3, paused: true });
});

/** A Teller, and what it has told since the last look. */
function teller(): { teller: Teller; told: () => unknown[] } {
  let all: unknown[] = [];
  return {
    teller: new Teller(async (change) => void all.push(change)),
    told: () => {
      const before = all;
      all = [];
      return before;
    },
  };
}

const moment = (): Promise<void> => Promise.resolve();

test("the first word is told at once, later sizes together, pauses at once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { teller: it, told } = teller();
  it.prefer({ width: 100, height: 50 });
  it.prefer({ priority: 7 });
  await moment();
  assert.deepEqual(told(), [{ width: 100, height: 50, priority: 7 }]);
  for (let width = 200; width < 210; width++) it.prefer({ width });
  await moment();
  assert.deepEqual(told(), []);
  t.mock.timers.tick(300);
  assert.deepEqual(told(), [{ width: 209 }]);
  it.prefer({ width: 209 });
  t.mock.timers.tick(300);
  assert.deepEqual(told(), []);
  it.prefer({ width: 210 });
  it.pause(true);
  await moment();
  assert.deepEqual(told(), [{ width: 210, paused: true }]);
  it.pause(false);
  await moment();
  assert.deepEqual(told(), [{ paused: false }]);
});

test("what nobody sees is paused after a while, and comes back at once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { teller: it, told } = teller();
  it.see(false);
  t.mock.timers.tick(4_999);
  it.see(true);
  it.see(false);
  t.mock.timers.tick(4_999);
  await moment();
  assert.deepEqual(told(), []);
  t.mock.timers.tick(1);
  await moment();
  assert.deepEqual(told(), [{ paused: true }]);
  it.pause(true);
  it.see(true);
  await moment();
  assert.deepEqual(told(), []); // the application's own pause stays
  it.pause(false);
  await moment();
  assert.deepEqual(told(), [{ paused: false }]);
  it.see(false);
  it.close();
  t.mock.timers.tick(60_000);
  await moment();
  assert.deepEqual(told(), []);
});

test("a new session is told everything again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { teller: it, told } = teller();
  it.prefer({ width: 100 });
  await moment();
  told();
  it.begin();
  await moment();
  assert.deepEqual(told(), [{ width: 100 }]);
});
