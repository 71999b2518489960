// A viewer whose network falls from 2 Mb/s to 300 kb/s and comes back, in front of a camera that is sent in three sizes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 240_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const width = 960;
const height = 540;

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium,firefox').split(',');

/** In the page: publishes by WHIP a picture that is hard to encode, in three sizes of 0.15, 0.5 and 1.55 Mb/s at most. */
const publish = async (room, width, height) => {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  let n = 0;
  setInterval(() => {
    e2e.draw(context, 1, n++);
    for (let i = 0; i < 600; i++) {
      context.fillStyle = `hsl(${Math.random() * 360} 60% ${Math.random() * 100}%)`;
      context.fillRect(Math.random() * width, (0.9 + Math.random() * 0.1) * height, 6, 6);
      context.fillRect(Math.random() * width, Math.random() * 0.1 * height, 6, 6);
    }
  }, 1000 / 20);
  const pc = (e2e.whip = new RTCPeerConnection());
  const sendEncodings = [150, 500, 1550].map((kbps, i) => ({ rid: 'qhf'[i], scaleResolutionDownBy: 4 / 2 ** i, maxBitrate: 1000 * kbps }));
  const transceiver = pc.addTransceiver(canvas.captureStream(20).getVideoTracks()[0], { direction: 'sendonly', sendEncodings });
  transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter((c) => ['video/VP8', 'video/rtx'].includes(c.mimeType)));
  await pc.setLocalDescription();
  const answer = await fetch(`/whip/${room}?identity=studio`, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
};

/** In the page: shows the studio's camera, and notes when a picture is shown. */
const watch = async (room, identity, width) => {
  const { join } = await import(`${location.origin}/sdk/parley.js`);
  const viewer = await join({ url: location.origin, room, identity });
  e2e.viewer = viewer;
  const subscription = await e2e.until(() => [...(viewer.participants.get('studio')?.publications.values() ?? [])]
    .map((p) => p.subscription).find((s) => s.mediaStreamTrack), 'a track', 20_000);
  const element = Object.assign(document.createElement('video'), { muted: true });
  Object.assign(element.style, { width: `${width}px`, aspectRatio: '16 / 9' });
  document.body.append(element);
  subscription.attach(element);
  e2e.shown = [];
  const note = () => {
    e2e.shown.push(performance.now());
    element.requestVideoFrameCallback(note);
  };
  element.requestVideoFrameCallback(note);
  e2e.width = async () => (await subscription.stats())?.frameWidth;
};

/** In the page of the publisher: what it sends, for a person who looks for the cause of a failure. */
const sends = async () => JSON.stringify([...(await e2e.whip.getStats()).values()].filter((s) => s.type === 'outbound-rtp')
  .map((s) => [s.rid, s.frameWidth, s.framesSent, s.targetBitrate, s.qualityLimitationReason]));

/** In the page of the publisher: what it believes that its own network carries, in b/s: the camera is to be no larger. */
const mayBe = async () => [...(await e2e.whip.getStats()).values()].find((s) => s.type === 'candidate-pair' && s.nominated)?.availableOutgoingBitrate;

/** In the page: the longest time without a new picture since the last call, ms. */
const stood = () => {
  const times = [...e2e.shown.splice(0), performance.now()];
  e2e.shown.push(times.at(-1));
  return Math.round(Math.max(...times.slice(1).map((at, i) => at - times[i])));
};

describe('a viewer whose bandwidth changes', () => {
  let call;
  before(async () => {
    call = await Call.startInLab('bandwidth', (lab) => [['studio', 'chromium', 1, lab.server]]);
    await call.studio.evaluate(publish, 'bandwidth', width, height);
  }, { timeout });
  after(() => call?.close());

  const down = async () => JSON.parse(await call.lab.link('stats')).down;

  /** Lets time pass, and returns for each second what was sent, what arrived and what the camera may be, in b/s, and how long packets waited
   * at most, in ms. */
  const seconds = async (n) => {
    const all = [];
    for (let i = 0; i < n; i++) {
      const [begin, at] = [await down(), performance.now()];
      let waits = 0;
      while (performance.now() - at < 1000) {
        await pause(40);
        waits = Math.max(waits, (await down()).Waits);
      }
      const [end, passed] = [await down(), (performance.now() - at) / 1000];
      all.push({ sent: (8 * (end.Offered - begin.Offered)) / passed, came: (8 * (end.Bytes - begin.Bytes)) / passed, waits, camera: await call.studio.evaluate(mayBe) });
    }
    return all;
  };
  const list = (all, key, unit) => all.map((x) => Math.round(x[key] / unit)).join(' ');
  const most = (all, key) => Math.max(...all.map((x) => x[key]));

  for (const [i, kind] of kinds.entries()) {
    test(`${kind} gets what fits, and more when there is more`, { timeout }, async (t) => {
      await call.lab.link('both delay=20ms');
      const viewer = await call.person(kind, kind, i + 2);
      await viewer.evaluate(watch, 'bandwidth', kind, width);
      await viewer.evaluate((w) => e2e.until(async () => (await e2e.width()) === w, `a picture of ${w}`, 30_000), width).catch(async (error) => {
        throw new Error(`${error.message}: ${await viewer.evaluate(() => e2e.width())}, ${await call.studio.evaluate(sends)}`);
      });
      await call.lab.link('down rate=2M,queue=200ms,delay=20ms');
      const steady = await seconds(20);
      t.diagnostic(`at 2 Mb/s: ${list(steady, 'sent', 1000)} kb/s sent; the camera may be ${list(steady, 'camera', 1000)}`);
      await viewer.evaluate(stood);

      await call.lab.link('down rate=300k,queue=200ms,delay=20ms');
      const fallen = await seconds(15);
      const still = await viewer.evaluate(stood);
      t.diagnostic(`at 300 kb/s: ${list(fallen, 'sent', 1000)} kb/s sent; packets wait ${list(fallen, 'waits', 1)} ms; still for ${still} ms`);

      await call.lab.link('down rate=2M,queue=200ms,delay=20ms');
      const risen = await seconds(20);
      t.diagnostic(`at 2 Mb/s again: ${list(risen, 'came', 1000)} kb/s came; still for ${await viewer.evaluate(stood)} ms; the camera may be ${list(risen, 'camera', 1000)}`);
      await viewer.evaluate(() => e2e.viewer.leave());

      assert.ok(most(steady, 'came') > 1_500_000, 'the camera is not large enough to show anything');
      assert.ok(most(fallen.slice(3), 'sent') <= 300_000, 'more than 300 kb/s after 3 s');
      assert.ok(most(fallen.slice(5), 'waits') < 100, 'packets wait for 100 ms and more after 5 s');
      assert.ok(still < 2000, `the picture stood still for ${still} ms`);
      assert.ok(most(risen.slice(0, 15), 'came') >= 1_600_000, 'less than 1.6 Mb/s within 15 s of the return');
    });
  }
});
