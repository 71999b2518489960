// What somebody may do in a call is changed by an admin, over HTTP: his pictures and sound end within half a second.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 120_000;

describe('grants', () => {
  let call;
  before(async () => {
    call = await Call.start('grants', [['ann', 'chromium', 1], ['bob', 'chromium', 2]], '--auth', 'token', '--no-state');
    for (const person of call.people) {
      const token = call.server.token('--room', 'tea', '--name', person.name, '--identity', person.name);
      await person.evaluate(() => e2e.openCamera());
      await person.evaluate(async (token) => {
        await e2e.enter({ room: 'tea', token });
        e2e.granted = [];
        e2e.unpublished = [];
        e2e.room.addEventListener('grantschanged', (e) => e2e.granted.push(e.grants.publish));
        e2e.room.addEventListener('trackunpublished', (e) => e2e.unpublished.push(`${e.participant.identity} ${e.publication.source}`));
        await e2e.publish(e2e.camera);
      }, token);
    }
    await call.allSeeAndHear();
  }, { timeout: 180_000 });
  after(() => call?.close());

  const rule = (grants) => call.server.rule({ identity: 'ann', ...grants });

  test('who may not publish any more is seen and heard no more, and knows it', { timeout }, async () => {
    const ended = call.bob.evaluate(async () => {
      await e2e.until(() => e2e.unpublished.length === 2, 'the end of both tracks');
      return performance.timeOrigin + performance.now();
    });
    const asked = Date.now();
    assert.equal((await rule({ publish: false })).grants.publish, false);
    const ms = (await ended) - asked;
    assert.ok(ms < 500, `${ms} ms`);
    await call.ann.evaluate(() => e2e.until(() => e2e.granted.at(-1) === false && e2e.room.localParticipant.publications.size === 0, 'what ann was told'));
    const refused = await call.ann.evaluate(() => e2e.publish(e2e.camera).then(() => 'published', (error) => error.code));
    assert.equal(refused, 'forbidden');
    assert.deepEqual(await call.bob.evaluate(() => e2e.granted), [], 'bob was told of grants of his own');
    await call.ann.evaluate(() => e2e.subscription('bob', 'camera')); // what she may still do goes on
  });

  test('who may publish again does, in the same connection', { timeout }, async () => {
    assert.equal((await rule({ publish: true })).grants.publish, true);
    await call.ann.evaluate(() => e2e.until(() => e2e.granted.at(-1) === true, 'what ann was told'));
    await call.ann.evaluate(() => e2e.publish(e2e.camera));
    await call.bob.evaluate((looks) => e2e.until(() => e2e.room.participants.get('ann').publications.size === 2, looks), 'two tracks of ann');
    await call.bob.evaluate((hz) => e2e.listen('ann', hz), call.ann.frequency);
  });

  test('a ruling about sources alone ends what it leaves out, and is known', { timeout }, async () => {
    const published = () => call.ann.evaluate(() => [...e2e.room.localParticipant.publications.values()].map((p) => p.source));
    const told = await call.ann.evaluate(() => e2e.granted.length);
    assert.deepEqual((await rule({ sources: ['microphone'] })).sources, ['microphone']);
    await call.ann.evaluate((told) => e2e.until(() => e2e.granted.length > told && e2e.room.localParticipant.publications.size === 1, 'what ann was told'), told);
    assert.deepEqual(await published(), ['microphone']);
    assert.deepEqual(await call.ann.evaluate(() => ['microphone', 'camera'].map((source) => e2e.room.localParticipant.mayPublish(source))), [true, false]);
    assert.match(await call.ann.evaluate(() => e2e.publish(e2e.camera).then(() => 'published', (error) => error.message)), /may not publish "camera"/);
    await call.bob.evaluate((hz) => e2e.listen('ann', hz), call.ann.frequency);
    await rule({ sources: [] });
    await call.ann.evaluate(() => e2e.until(() => e2e.room.localParticipant.mayPublish('camera'), 'the camera to be allowed'));
    await call.ann.evaluate(() => e2e.publish(e2e.camera));
    assert.deepEqual((await published()).sort(), ['camera', 'microphone']);
  });
});
