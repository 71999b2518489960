// Data messages between real browsers, more than go at once: none is lost, and what is too fast is slowed down.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 120_000;
const slow = 'parley_data_slow_channels_total';
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

describe('data messages in numbers', () => {
  let call;
  before(async () => {
    call = await Call.start('messages', [['ann', 'chromium', 1], ['bob', 'chromium', 2], ['eve', 'firefox', 3]]);
    await call.meet('tea');
    await allHear();
  }, { timeout: 180_000 });
  after(() => call?.close());

  /** Waits until everybody's data channels are open: what is sent before somebody's is not for him. */
  const allHear = async () => {
    for (const person of call.people) {
      await person.evaluate(() => e2e.room.addEventListener('data', () => { e2e.hears = true; }, { once: true }));
    }
    const hears = () => Promise.all(call.people.map((person) => person.evaluate(() => e2e.hears === true)));
    for (let tries = 100; !(await hears()).every(Boolean); tries--) {
      assert.ok(tries > 0, 'somebody hears nothing');
      for (const person of call.people) await person.evaluate(() => e2e.room.send('hello'));
      await pause(100);
    }
  };

  /** Lets everybody but one count the numbered messages of that one. */
  const count = (from) => Promise.all(call.people.filter((p) => p !== from).map((p) => p.evaluate((name) => {
    e2e.room.removeEventListener('data', e2e.counter);
    e2e.counted = { inOrder: 0, astray: 0 };
    e2e.counter = (e) => {
      if (e.from !== name || typeof e.data === 'string') return;
      if (new DataView(e.data.buffer).getUint32(0) === e2e.counted.inOrder) e2e.counted.inOrder++;
      else e2e.counted.astray++;
    };
    e2e.room.addEventListener('data', e2e.counter);
  }, from.name)));

  /** Lets one send numbered messages, and wait for each or not. Returns how long they took. */
  const send = (from, count, bytes, awaited) => from.evaluate(async (count, bytes, awaited) => {
    const start = performance.now();
    const all = [];
    for (let i = 0; i < count; i++) {
      const message = new Uint8Array(bytes);
      new DataView(message.buffer).setUint32(0, i);
      const sent = e2e.room.send(message);
      if (awaited) await sent;
      else all.push(sent);
    }
    await Promise.all(all);
    return Math.round(performance.now() - start);
  }, count, bytes, awaited);

  /** Waits until somebody has so many messages, each when it was due. */
  const heard = async (person, count) => {
    const heard = await person.evaluate(async (count) => {
      await e2e.until(() => e2e.counted.inOrder + e2e.counted.astray >= count, 'all messages', 60_000).catch(() => {});
      return e2e.counted;
    }, count);
    assert.deepEqual(heard, { inOrder: count, astray: 0 }, person.name);
  };

  for (const [name, other] of [['ann', 'eve'], ['eve', 'ann']]) {
    test(`5,000 messages that ${name} sends at once reach everybody, in order`, { timeout }, async (t) => {
      await count(call[name]);
      const took = await send(call[name], 5_000, 16, false);
      for (const person of [call.bob, call[other]]) await heard(person, 5_000);
      t.diagnostic(`${call[name].kind} had taken them after ${took} ms`);
    });

    test(`as fast as ${name} can, everything reaches everybody, in order`, { timeout }, async (t) => {
      await count(call[name]);
      const took = await send(call[name], 60_000, 16, true);
      for (const person of [call.bob, call[other]]) await heard(person, 60_000);
      t.diagnostic(`${call[name].kind} had taken them after ${took} ms`);
    });

    test(`somebody who reads nothing for 5 s makes ${name} wait, and then gets everything; so do others`, { timeout }, async (t) => {
      await count(call[name]);
      call.bob.freeze(true);
      const sent = send(call[name], 10_000, 1_000, true);
      try {
        await pause(5_000);
      } finally {
        call.bob.freeze(false);
      }
      const took = await sent;
      assert.ok(took > 5_000, `taken after ${took} ms`);
      for (const person of [call.bob, call[other]]) await heard(person, 10_000);
      t.diagnostic(`${call[name].kind} had taken them after ${took} ms`);
    });
  }

  test('no channel was closed so far', { timeout }, async () => {
    assert.equal(await call.server.metric(slow), 0);
  });

  test('somebody who reads nothing for 10 s loses the channel, nobody else loses anything, and the channel is opened again', { timeout }, async (t) => {
    await count(call.ann);
    call.bob.freeze(true);
    const start = performance.now();
    const sent = send(call.ann, 10_000, 1_000, true);
    try {
      while (await call.server.metric(slow) === 0 && performance.now() - start < 20_000) await pause(100);
      t.diagnostic(`closed after ${Math.round(performance.now() - start)} ms`);
      await sent;
      await heard(call.eve, 10_000);
    } finally {
      call.bob.freeze(false);
    }
    assert.equal(await call.server.metric(slow), 1);
    await call.bob.evaluate(() => e2e.until(() => e2e.room.send('again').then(() => true, () => false), 'the channel to be there again'));
    for (let i = 0; i < 100; i++) {
      await call.ann.evaluate(() => e2e.room.send('are you there?'));
      if (await call.bob.evaluate(() => e2e.data.some((d) => d.data === 'are you there?'))) return;
      await pause(100);
    }
    assert.fail('nothing reaches him any more');
  });

  test('pictures and sound go on', { timeout }, async () => {
    await call.allSeeAndHear(() => {});
  });
});
