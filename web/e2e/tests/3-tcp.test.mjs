// The same call where UDP is blocked: everything goes over ICE-TCP.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';
import { dropUDP, openAll, smallReceiveBuffers } from '../lib/firewall.mjs';

const timeout = 120_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

describe('a call without UDP', () => {
  let call;
  let restoreBuffers;
  before(async () => {
    restoreBuffers = smallReceiveBuffers();
    dropUDP();
    call = await Call.start('tcp', [['ann', 'chromium', 1], ['bob', 'chromium', 2], ['eve', 'firefox', 3]]);
    await call.meet('tea');
  }, { timeout: 180_000 });
  after(async () => {
    openAll();
    restoreBuffers?.();
    await call?.close();
  });

  test("everybody decodes everybody else's picture and hears the tone", { timeout }, async (t) => {
    await call.allSeeAndHear((line) => t.diagnostic(line));
  });

  test('media travel over TCP', { timeout }, async () => {
    for (const person of call.people) {
      const path = await person.evaluate(() => e2e.path());
      assert.equal(path?.protocol, 'tcp', person.name);
      assert.equal(await person.evaluate(() => e2e.room.mediaPath), 'tcp', person.name);
    }
  });

  test('data messages travel too', { timeout }, async () => {
    await call.eve.evaluate(() => e2e.room.send('over TCP'));
    for (const person of [call.ann, call.bob]) {
      await person.evaluate(() => e2e.until(() => e2e.data.some((d) => d.from === 'eve' && d.data === 'over TCP'), 'the message'));
    }
  });

  test('a client that stops reading (zero TCP window) stalls nobody, and comes back', { timeout }, async (t) => {
    const others = [call.ann, call.eve];
    for (const viewer of others) {
      await viewer.evaluate(async (name) => (e2e.gap = e2e.watchGaps(await e2e.tile(name))) && undefined,
        others.find((other) => other !== viewer).name);
    }
    call.bob.freeze(true);
    let unsent = 0;
    for (let i = 0; i < 36; i++) { // 18 s: the window closes, and for longer than the server waits for it to open
      await pause(500);
      unsent = Math.max(unsent, call.server.unsentBytes());
    }
    const seen = [];
    for (const viewer of others) seen.push([viewer.name, await viewer.evaluate(() => e2e.gap())]);
    call.bob.freeze(false);
    t.diagnostic(`${unsent} bytes waited for the window to open`);
    assert.ok(unsent > 1000, 'the window was never closed');
    const stoodStillMs = seen.reduce((sum, [, gap]) => sum + gap.stoodStillMs, 0); // who sends a picture may be as late as who shows it
    t.diagnostic(`both pages together stood still for ${stoodStillMs} ms at most`);
    for (const [name, { rate, longestGapMs }] of seen) {
      t.diagnostic(`${name} saw ${rate} pictures a second, the longest gap was ${longestGapMs} ms`);
      assert.ok(rate > 10 && longestGapMs < 500 + stoodStillMs, name);
    }
    for (const other of others) {
      await call.bob.evaluate((name, looks) => e2e.see(name, looks, { ms: 60_000 }), other.name, other.looks);
      await other.evaluate((looks) => e2e.see('bob', looks, { ms: 60_000 }), call.bob.looks);
    }
  });
});
