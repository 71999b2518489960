// Lips follow voices: a flash and a beep that leave together arrive together, before and after a slot changes its track.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 180_000;

describe('lip-sync', () => {
  let call;
  before(async () => {
    call = await Call.start('lipsync', [['ann', 'chromium', 1], ['bob', 'chromium', 2], ['zoe', 'chromium', 4], ['eve', 'firefox', 3]]);
    for (const source of [call.ann, call.bob]) {
      await source.evaluate(async (options) => {
        e2e.source = await e2e.flashAndBeep();
        await e2e.enter({ ...options, manualSubscribe: true });
        await e2e.publish(e2e.source.stream);
      }, { room: 'clap', identity: source.name });
    }
    for (const viewer of [call.zoe, call.eve]) {
      await viewer.evaluate((options) => e2e.enter(options), { room: 'clap', identity: viewer.name, manualSubscribe: true });
    }
  }, { timeout: 180_000 });
  after(() => call?.close());

  /** Subscribes to one source alone, and tells which m-line of the viewer its picture comes in, and how far its sound is off. */
  const measure = async (viewer, name, within) => {
    const mid = await viewer.evaluate(async (name) => {
      for (const participant of e2e.room.participants.values()) {
        if (participant.identity === name) continue;
        for (const publication of participant.publications.values()) await publication.subscription.want(false);
      }
      for (const source of ['microphone', 'camera']) await (await e2e.publication(name, source)).subscription.want(true);
      const subscription = await e2e.subscription(name, 'camera');
      await e2e.subscription(name, 'microphone');
      return e2e.room.peerConnection.getTransceivers().find((t) => t.receiver.track === subscription.mediaStreamTrack)?.mid;
    }, name);
    const result = await viewer.evaluate(async (name, within) => {
      const video = await e2e.play(e2e.room.participants.get(name).stream);
      try {
        return await e2e.lipSync(video, { within });
      } finally {
        video.srcObject = null;
        video.remove();
      }
    }, name, within);
    return { mid, ...result };
  };

  // Firefox alone, called by a Chromium without any server between them, was measured at 50 to 100 ms, now and then 180: more
  // says nothing about the server, but a clock that the server mapped wrongly is off by more.
  for (const [who, browser, within] of [['zoe', 'Chromium', 60], ['eve', 'Firefox', 200]]) {
    test(`flash and beep are within ${within} ms at ${browser}, before and after its slot changes`, { timeout }, async (t) => {
      const first = await measure(call[who], 'ann', within);
      t.diagnostic(`ann in m-line ${first.mid}: ${first.offsets} ms`);
      const second = await measure(call[who], 'bob', within);
      t.diagnostic(`bob in m-line ${second.mid}: ${second.offsets} ms`);
      assert.equal(second.mid, first.mid, 'the slot was not used again');
      const third = await measure(call[who], 'ann', within);
      t.diagnostic(`ann again: ${third.offsets} ms`);
    });
  }
});
