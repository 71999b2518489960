// A client whose network changes in the middle of a call: a NAT that gives it another address, and a hand-over from Wi-Fi to LTE.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 240_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const percentile = (all, p) => [...all].sort((a, b) => a - b)[Math.max(0, Math.ceil(all.length * p) - 1)];

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium').split(',');
const rounds = Number(process.env.PARLEY_E2E_ROUNDS ?? 10);

for (const kind of kinds) {
  describe(`a ${kind} whose network changes`, () => {
    let call;
    before(async () => {
      call = await Call.acrossLab(`network-${kind}`, kind);
    }, { timeout });
    after(() => call?.close());

    /** Notes when packets of sound come, until it is stopped; then gives the longest time without any. */
    const watch = (person) => person.evaluate(() => {
      let last = performance.now();
      let longest = 0;
      let packets = 0;
      let watching = true;
      const look = async () => {
        while (watching) {
          const all = await e2e.statistics('inbound-rtp');
          const now = performance.now();
          const came = all.filter((s) => s.kind === 'audio').reduce((sum, s) => sum + s.packetsReceived, 0);
          longest = Math.max(longest, now - last);
          if (came !== packets) [packets, last] = [came, now];
          await new Promise((done) => setTimeout(done, 20));
        }
      };
      const looking = look();
      e2e.stopWatching = async () => {
        watching = false;
        await looking;
        return Math.round(longest);
      };
    });

    /** Does something to the network, again and again, and returns the longest gaps at both ends. */
    const measure = async (change, settle) => {
      const gaps = { ann: [], bob: [] };
      for (let i = 0; i < rounds; i++) {
        await watch(call.ann);
        await watch(call.bob);
        await change(i);
        await pause(settle);
        for (const who of ['ann', 'bob']) gaps[who].push(await call[who].evaluate(() => e2e.stopWatching()));
        await pause(3000); // a path that is steady again
      }
      return gaps;
    };

    test('another address of the same network is followed within 300 ms', { timeout }, async (t) => {
      const before = await call.identity();
      const gaps = await measure(() => call.lab.rebind(), 4000);
      for (const [who, all] of Object.entries(gaps)) t.diagnostic(`${who} heard nothing for ${all.join(', ')} ms`);
      assert.equal(await call.identity(), before, 'something was published or connected anew');
      for (const all of Object.values(gaps)) assert.ok(Math.max(...all) <= 300, `a gap of ${Math.max(...all)} ms`);
    });

    test('another network: everything goes on within 2 s (95th percentile), in the same session', { timeout }, async (t) => {
      const before = await call.identity();
      const gaps = await measure((i) => (i % 2 === 0 ? call.lab.handOver() : call.lab.handBack()), 8000);
      for (const [who, all] of Object.entries(gaps)) t.diagnostic(`${who} heard nothing for ${all.join(', ')} ms`);
      assert.equal(await call.identity(), before, 'something was published or connected anew');
      for (const all of Object.values(gaps)) assert.ok(percentile(all, 0.95) <= 2000, `95 % of gaps are within ${percentile(all, 0.95)} ms`);
      await call.allSeeAndHear();
    });
  });
}
