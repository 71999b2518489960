// A viewer whose network loses packets by chance, one by one and in runs of four.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 240_000;
const length = 60_000; // ms of a row: one still of half a second in 20 s would decide

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium,firefox').split(',');

/** What is lost, and the bounds in percent: the time for which the picture stands still, and sound that is made up. Runs are only reported. */
const rows = [
  { loss: 5, still: 1, concealed: { chromium: 1, firefox: 1 } },
  { loss: 10, still: 3, concealed: { chromium: 4, firefox: 6 } },
  { loss: 20, still: 10, concealed: { chromium: 12, firefox: 15 } },
  { loss: 10, burst: 4 },
];

/** In the page: notes for how long pictures of somebody stand still, and how much of his sound is made up. The time is the browser's own (W3C
 * webrtc-stats, totalFreezesDuration): a page that is busy itself hears too late of pictures that were shown. The longest is what the page saw. */
const watch = async (name) => {
  const participant = e2e.room.participants.get(name);
  const subscription = await e2e.until(() => [...participant.publications.values()].find((p) => p.source === 'camera')?.subscription, 'a camera');
  await e2e.until(() => subscription.mediaStreamTrack, 'a track');
  const element = e2e.play(new MediaStream([subscription.mediaStreamTrack]));
  e2e.play(new MediaStream([(await e2e.subscription(name, 'microphone')).mediaStreamTrack])); // Chromium makes up only what it plays
  e2e.shown = [];
  const note = () => {
    e2e.shown.push(performance.now());
    element.requestVideoFrameCallback(note);
  };
  element.requestVideoFrameCallback(note);
  const sums = async () => {
    const audio = await e2e.received((await e2e.subscription(name, 'microphone')).mediaStreamTrack);
    const video = await e2e.received(subscription.mediaStreamTrack);
    const concealed = audio.concealedSamples - audio.silentConcealedSamples;
    return { all: audio.totalSamplesReceived, concealed, frozen: video.totalFreezesDuration };
  };
  e2e.quality = async (ms) => {
    const begin = performance.now();
    e2e.shown = [begin];
    const before = await sums();
    await e2e.sleep(ms);
    const after = await sums();
    const times = [...e2e.shown, performance.now()];
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    const unfinished = gaps.at(-1) > 1000 ? gaps.at(-1) : 0; // a freeze counts in the statistics when it has ended
    return {
      still: (100 * (1000 * (after.frozen - before.frozen) + unfinished)) / (performance.now() - begin),
      longest: Math.max(...gaps),
      concealed: (100 * (after.concealed - before.concealed)) / (after.all - before.all),
    };
  };
};

describe('a viewer whose network loses packets', () => {
  let call;
  before(async () => {
    call = await Call.startInLab('losses', (lab) => [['ann', 'chromium', 1, lab.server], ...kinds.map((kind, i) => [kind, kind, i + 2])]);
    await call.lab.link('both delay=20ms');
    await call.meet('tea');
    for (const kind of kinds) await call[kind].evaluate(watch, 'ann');
  }, { timeout });
  after(() => call?.close());

  for (const { loss, burst = 1, still, concealed } of rows) {
    test(`${loss} % of packets${burst > 1 ? `, ${burst} in a row` : ''}`, { timeout }, async (t) => {
      await call.lab.link(`down delay=20ms,loss=${loss}%,burst=${burst}`);
      await new Promise((done) => setTimeout(done, 5000)); // until redundancy has begun
      const all = await Promise.all(kinds.map((kind) => call[kind].evaluate((ms) => e2e.quality(ms), length)));
      await call.lab.link('down delay=20ms');
      const { Late: late } = JSON.parse(await call.lab.link('stats')).down;
      kinds.forEach((kind, i) => t.diagnostic(`${kind}: still for ${all[i].still.toFixed(1)} % of the time, `
        + `${Math.round(all[i].longest)} ms at most; ${all[i].concealed.toFixed(1)} % of sound made up; the link was late by ${Math.round(late)} ms`));
      if (still === undefined) return;
      kinds.forEach((kind, i) => {
        assert.ok(all[i].still <= still, `${kind}: the picture stood still for ${all[i].still.toFixed(1)} % of the time`);
        assert.ok(all[i].concealed <= concealed[kind], `${kind}: ${all[i].concealed.toFixed(1)} % of sound are made up`);
      });
    });
  }
});
