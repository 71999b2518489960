// A client whose firewall forbids UDP in the middle of a call, and allows it again.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';
import { Lab } from '../lib/lab.mjs';

const timeout = 240_000;

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium,firefox').split(',');

for (const kind of kinds) {
  describe(`a ${kind} behind a firewall`, () => {
    let lab;
    let call;
    before(async () => {
      lab = new Lab();
      await lab.connect();
      call = await Call.startAt(lab, `firewall-${kind}`, [['ann', kind, 1], ['bob', 'chromium', 2, lab.server]]);
      await call.meet('tea');
      await call.allSeeAndHear();
    }, { timeout });
    after(async () => {
      await call?.close();
      lab?.close();
    });

    const identity = () => Promise.all(call.people.map((person) => person.evaluate(() => [
      e2e.connections.length, ...[...Object.values(e2e.published)].map((p) => p.id),
    ].join())));

    /** Waits until media travel by another path, and returns the longest time in ms for which bob saw nothing new of ann. */
    const changes = async (lets, paths) => {
      await call.bob.evaluate(async (name) => (e2e.gap = e2e.watchGaps(await e2e.tile(name))) && undefined, 'ann');
      lab.firewall(lets);
      await call.ann.evaluate((paths) => e2e.until(() => paths.includes(e2e.room.mediaPath), paths.join(), 60_000), paths);
      await call.allSeeAndHear();
      return (await call.bob.evaluate(() => e2e.gap())).longestGapMs;
    };

    for (const [lets, paths] of [['tcp', ['tcp', 'turn/tcp']], ['open', ['udp']]]) {
      test(`that changes to let ${lets} through goes on over ${paths.join(' or ')}`, { timeout }, async (t) => {
        const before = await identity();
        const gap = await changes(lets, paths);
        t.diagnostic(`bob saw nothing new of ann for ${gap} ms`);
        assert.ok(gap <= 7000, `a gap of ${gap} ms`);
        assert.deepEqual(await identity(), before, 'something was published or connected anew');
      });
    }
  });
}
