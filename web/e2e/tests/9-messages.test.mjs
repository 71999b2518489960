// Data messages between real browsers, more than go at once: none is lost, and what is too fast is slowed down.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 120_000;

describe('data messages in numbers', () => {
  let call;
  before(async () => {
    call = await Call.start('messages', [['ann', 'chromium', 1], ['bob', 'chromium', 2], ['eve', 'firefox', 3]]);
    await call.meet('tea');
  }, { timeout: 180_000 });
  after(() => call?.close());

  /** Lets one send numbered messages of 18 bytes, and the others say how many they get in order, and when they have all. */
  const flood = async (from, count, awaited) => {
    const others = call.people.filter((p) => p !== from);
    for (const person of others) {
      await person.evaluate((name) => {
        const heard = (e2e.heard = { inOrder: 0, astray: 0 });
        e2e.room.addEventListener('data', (e) => {
          if (e.from !== name || typeof e.data === 'string') return;
          if (new DataView(e.data.buffer).getUint32(0) === heard.inOrder) heard.inOrder++;
          else heard.astray++;
        });
      }, from.name);
    }
    const start = performance.now();
    const sent = await from.evaluate(async (count, awaited) => {
      const start = performance.now();
      const all = [];
      for (let i = 0; i < count; i++) {
        const message = new Uint8Array(16);
        new DataView(message.buffer).setUint32(0, i);
        const sent = e2e.room.send(message);
        if (awaited) await sent;
        else all.push(sent);
      }
      await Promise.all(all);
      return performance.now() - start;
    }, count, awaited);
    const heard = await Promise.all(others.map((p) => p.evaluate(async (count) => {
      await e2e.until(() => e2e.heard.inOrder + e2e.heard.astray >= count, 'all messages', 60_000).catch(() => {});
      return e2e.heard;
    }, count)));
    for (const [i, person] of others.entries()) assert.deepEqual(heard[i], { inOrder: count, astray: 0 }, `${person.name} of ${from.name}`);
    return `${from.name} (${from.kind}): ${count} messages taken after ${Math.round(sent)} ms, heard by all after ${Math.round(performance.now() - start)} ms`;
  };

  for (const name of ['ann', 'eve']) {
    test(`5,000 messages that ${name} sends at once reach everybody, in order`, { timeout }, async (t) => {
      t.diagnostic(await flood(call[name], 5_000, false));
    });

    test(`more messages than ${name} may send at once are slowed down, and reach everybody, in order`, { timeout }, async (t) => {
      t.diagnostic(await flood(call[name], 80_000, true));
    });
  }

  test('pictures and sound go on, and no channel was closed', { timeout }, async () => {
    await call.allSeeAndHear(() => {});
    assert.equal(await call.server.metric('parley_data_slow_channels_total'), 0);
    const held = await call.server.counters('parley_data_held_back_seconds_total', 'cause');
    assert.ok(held.rate > 1, `held back for ${held.rate} s`);
  });
});
