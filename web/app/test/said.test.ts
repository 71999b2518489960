// Rule: a message goes by itself, but not while the pointer is over it or the keyboard in it; whoever leaves first does not send it away. A finger
// that has touched it is gone when it is lifted.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { lifeMs, type Toast } from "../src/pure/toasts.js";
import { dismissAll, hold, release, say, toasts } from "../src/state/toasts.js";

const texts = (): string[] => toasts.value.map((t) => t.text);

/** Says something with a next step, and gives it. */
function said(): Toast {
  say("The camera is busy", "Close other calls.");
  return toasts.value.at(-1) ?? assert.fail("nothing is said");
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => {
  dismissAll();
  mock.timers.reset();
});

test("it goes after its time", () => {
  const life = lifeMs(said());
  mock.timers.tick(life - 1);
  assert.deepEqual(texts(), ["The camera is busy"]);
  mock.timers.tick(1);
  assert.deepEqual(texts(), []);
});

for (const [first, last] of [["pointer", "focus"], ["focus", "pointer"]] as const) {
  test(`it stays while the ${last} is at it, though the ${first} has gone, and goes after that`, () => {
    const toast = said();
    hold(toast.id, last);
    hold(toast.id, first);
    release(toast, first);
    mock.timers.tick(10 * lifeMs(toast));
    assert.deepEqual(texts(), ["The camera is busy"]);
    release(toast, last);
    mock.timers.tick(lifeMs(toast));
    assert.deepEqual(texts(), []);
  });
}

test("of a call that is over nothing is left", () => {
  const toast = said();
  hold(toast.id, "pointer");
  say("Bob joined");
  dismissAll();
  assert.deepEqual(texts(), []);
});
