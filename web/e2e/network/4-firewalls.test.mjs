// A client whose firewall forbids UDP in the middle of a call, and allows it again.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 240_000;

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium,firefox').split(',');

for (const kind of kinds) {
  describe(`a ${kind} behind a firewall`, () => {
    let call;
    before(async () => {
      call = await Call.acrossLab(`firewall-${kind}`, kind);
    }, { timeout });
    after(() => call?.close());

    /** Waits until media travel by another path, and returns the longest time in ms for which bob saw nothing new of ann. */
    const changes = async (lets, paths) => {
      await call.bob.evaluate(async (name) => (e2e.gap = e2e.watchGaps(await e2e.tile(name))) && undefined, 'ann');
      call.lab.firewall(lets);
      await call.ann.evaluate((paths) => e2e.until(() => paths.includes(e2e.room.mediaPath), paths.join(), 60_000), paths);
      await call.allSeeAndHear();
      return (await call.bob.evaluate(() => e2e.gap())).longestGapMs;
    };

    for (const [lets, paths] of [['tcp', ['tcp', 'turn/tcp']], ['open', ['udp']]]) {
      test(`that changes to let ${lets} through goes on over ${paths.join(' or ')}`, { timeout }, async (t) => {
        const before = await call.identity();
        const gap = await changes(lets, paths);
        t.diagnostic(`bob saw nothing new of ann for ${gap} ms`);
        assert.ok(gap <= 7000, `a gap of ${gap} ms`);
        assert.equal(await call.identity(), before, 'something was published or connected anew');
      });
    }
  });
}
