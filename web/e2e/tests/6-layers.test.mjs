// Layers: one picture is published in several sizes, and everybody decodes the one that suits; what nobody wants is not sent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Person } from '../lib/browser.mjs';
import { Server, origin } from '../lib/server.mjs';

const timeout = 120_000;
const width = 960;
const height = 540;

/** In the page: publishes a moving picture, which is sent in three sizes, in a codec. */
const publish = async (room, codec, size) => {
  await e2e.enter({ room, identity: 'studio' });
  e2e.picture = e2e.film(1, size);
  e2e.sent = await e2e.room.publish(e2e.picture.track, { source: 'camera', codec });
  return e2e.sent.codec;
};

/** In the page: the same by WHIP, without the SDK. */
const publishByWHIP = async (room, size) => {
  e2e.picture = e2e.film(1, size);
  const pc = (e2e.whip = new RTCPeerConnection());
  const sendEncodings = ['q', 'h', 'f'].map((rid, i) => ({ rid, scaleResolutionDownBy: 4 / 2 ** i }));
  const transceiver = pc.addTransceiver(e2e.picture.track, { direction: 'sendonly', sendEncodings });
  transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter((c) => ['video/VP8', 'video/rtx'].includes(c.mimeType)));
  await pc.setLocalDescription();
  const answer = await fetch(`/whip/${room}?identity=studio`, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  e2e.resource = answer.headers.get('Location');
};

const unpublishByWHIP = async () => {
  await fetch(e2e.resource, { method: 'DELETE' });
  e2e.whip.close();
  e2e.picture.stop();
};

const unpublish = async () => {
  await e2e.room.leave();
  e2e.picture.stop();
};

/** In the page: one more participant, who shows the studio's camera in an element of this width. */
const watch = async (room, places) => {
  const { join } = await import(`${location.origin}/sdk/parley.js`);
  e2e.viewers = await Promise.all(places.map(async (place) => {
    const viewer = await join({ url: location.origin, room, identity: `viewer-${place}` });
    const subscription = await e2e.until(() => [...(viewer.participants.get('studio')?.publications.values() ?? [])]
      .map((p) => p.subscription).find((s) => s.mediaStreamTrack), 'a track', 20_000);
    const element = Object.assign(document.createElement('video'), { muted: true });
    Object.assign(element.style, { width: `${place}px`, aspectRatio: '16 / 9' });
    document.body.append(element);
    subscription.attach(element);
    return { viewer, subscription, element };
  }));
};

const unwatch = () => {
  for (const { viewer, element } of e2e.viewers) {
    viewer.leave();
    element.remove();
  }
};

/** In the page: waits until each viewer decodes a picture of its width, and returns what they see. */
const decode = async (widths) => {
  const seen = async () => Promise.all(e2e.viewers.map(async ({ subscription }) => (await subscription.stats()) ?? {}));
  let last;
  const moves = async () => {
    const before = last;
    last = await seen();
    return before && last.every((s, i) => s.frameWidth === widths[i] && s.framesDecoded > (before[i].framesDecoded ?? 0));
  };
  await e2e.until(moves, `widths ${widths}`, 40_000).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last.map((s) => [s.frameWidth, s.framesDecoded, s.codec]))}`);
  });
  return last.map(({ frameWidth, frameHeight, framesPerSecond, freezeCount, codec }) => ({ frameWidth, frameHeight, framesPerSecond, freezeCount, codec }));
};

/** In the page: gives the viewers places of these widths, and returns when. */
const resize = (places) => {
  places.forEach((place, i) => (e2e.viewers[i].element.style.width = `${place}px`));
  return Date.now();
};

/**
 * In the page of the publisher: the widths that it sends now. A stream that is paused does not count; one with spatial layers has the
 * width of its highest, and its statistics may tell that of any.
 */
const sending = async () => {
  const frames = async () => new Map([...(await e2e.sent.stats()).values()].filter((s) => s.type === 'outbound-rtp').map((s) => [s.rid ?? '', s]));
  const before = await frames();
  await e2e.sleep(500);
  const now = [...(await frames()).values()].filter((s) => s.framesSent > (before.get(s.rid ?? '')?.framesSent ?? 0));
  const widthOf = (s) => (s.rid ? s.frameWidth : e2e.picture.track.getSettings().width / 2 ** (3 - Number(s.scalabilityMode[1])));
  return now.map(widthOf).sort((a, b) => a - b);
};

/** In the page of the publisher: the widths of the streams that it sends once it sends no others than these; returns when that was. */
const sends = async (widths) => {
  let last;
  await e2e.until(async () => String((last = await e2e.sending())) === String(widths), `sending ${widths}`, 15_000).catch((error) => {
    throw new Error(`${error.message}: ${last}`);
  });
  return Date.now() - 500; // when the look began that saw it
};

/** In the page of the viewers: gives the last one a place, and returns after how many ms it decodes a picture of that width. */
const enlarge = async (place, width) => {
  const begin = Date.now();
  e2e.viewers.at(-1).element.style.width = `${place}px`;
  while ((await e2e.viewers.at(-1).subscription.stats()).frameWidth !== width) {
    if (Date.now() > begin + 15_000) throw new Error(`no picture of ${width} is decoded`);
    await e2e.sleep(10);
  }
  return Date.now() - begin;
};

/**
 * In the page of the publisher: after how many ms its browser itself, in a connection to itself, shows the whole picture again of which it has sent
 * the smallest size, as an encoder takes time that no server has a part in.
 */
const enlargeAlone = async (codec, width) => {
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => a.addIceCandidate(candidate);
  const track = e2e.picture.track.clone();
  const [small, large] = [['L1T3', 4], ['L3T3_KEY', 1]].map(([scalabilityMode, scaleResolutionDownBy]) =>
    (codec === 'vp8' ? { scaleResolutionDownBy } : { scalabilityMode, scaleResolutionDownBy }));
  const transceiver = a.addTransceiver(track, { direction: 'sendonly', sendEncodings: [small] });
  if (codec !== 'vp8') transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter((c) => [`video/${codec}`, 'video/rtx'].includes(c.mimeType.toLowerCase())));
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  const shows = async (wanted) => {
    for (const begin = Date.now(); ; await e2e.sleep(10)) {
      const seen = [...(await b.getStats()).values()].find((s) => s.type === 'inbound-rtp');
      if (seen?.framesDecoded > 0 && seen.frameWidth === wanted) return Date.now() - begin;
      if (Date.now() > begin + 15_000) throw new Error(`${seen?.frameWidth} in place of ${wanted}, in a connection to itself`);
    }
  };
  await e2e.play(new MediaStream([b.getReceivers()[0].track]));
  try {
    await shows(width / 4);
    const parameters = transceiver.sender.getParameters();
    Object.assign(parameters.encodings[0], large);
    const [took] = await Promise.all([shows(width), transceiver.sender.setParameters(parameters)]);
    return took;
  } finally {
    track.stop();
    a.close();
    b.close();
  }
};

/** What nobody wants is paused within 2 s, and back within 500 ms of being wanted; where this machine is slow, of what its browser takes by itself. */
const dynacast = async (t, studio, audience, sizes, codec) => {
  let asked = await audience.evaluate(resize, [200, 200, 200]);
  const paused = (await studio.evaluate(sends, [sizes[0]])) - asked;
  await audience.evaluate(decode, [sizes[0], sizes[0], sizes[0]]);
  const back = await audience.evaluate(enlarge, 900, sizes[2]);
  const alone = back < 500 ? 0 : await studio.evaluate(enlargeAlone, codec, sizes[2]);
  await audience.evaluate(decode, [sizes[0], sizes[0], sizes[2]]);
  asked = Date.now();
  await audience.evaluate(unwatch);
  const silent = (await studio.evaluate(sends, [])) - asked;
  t.diagnostic(`larger sizes paused after ${paused} ms, back after ${back} ms${alone > 0 ? `, of which the browser itself takes ${alone}` : ''}; everything paused after ${silent} ms`);
  assert.ok(paused < 2000, `paused after ${paused} ms`);
  assert.ok(back - alone < 500, `back after ${back} ms, of which the browser itself takes ${alone}`);
  assert.ok(silent < 2000, `silent after ${silent} ms`);
};

describe('layers', () => {
  let server;
  let studio;
  let fox;
  let audience;
  before(async () => {
    server = await Server.start('layers');
    [studio, audience] = await Promise.all([Person.start('chromium', 'studio', 1), Person.start('chromium', 'audience', 2)]);
    await Promise.all([studio.open(origin), audience.open(origin)]);
    await studio.evaluate(`e2e.sending = ${sending}`);
  }, { timeout: 90_000 });
  after(async () => {
    await Promise.all([studio?.close(), fox?.close(), audience?.close()]);
    await server?.stop();
  });

  const sizes = [width / 4, width / 2, width];
  for (const codec of ['vp8', 'vp9', 'av1']) {
    test(`Chromium sends three sizes in ${codec}; each viewer decodes the one for its place`, { timeout }, async (t) => {
      const room = `layers-${codec}`;
      assert.equal(await studio.evaluate(publish, room, codec, { width, height, rate: 12 }), codec);
      await audience.evaluate(watch, room, [200, 400, 900]);
      const seen = await audience.evaluate(decode, sizes);
      t.diagnostic(JSON.stringify(seen));
      for (const { codec: decoded } of seen) assert.equal(decoded.toLowerCase(), `video/${codec}`);

      await audience.evaluate(resize, [900, 200, 400]);
      t.diagnostic(`other places: ${JSON.stringify(await audience.evaluate(decode, [sizes[2], sizes[0], sizes[1]]))}`);

      await dynacast(t, studio, audience, sizes, codec);
      await studio.evaluate(unpublish);
    });
  }

  test('Chromium sends three sizes by WHIP; each viewer decodes the one for its place', { timeout }, async (t) => {
    await studio.evaluate(publishByWHIP, 'layers-whip', { width, height, rate: 12 });
    await audience.evaluate(watch, 'layers-whip', [200, 400, 900]);
    t.diagnostic(JSON.stringify(await audience.evaluate(decode, sizes)));
    await audience.evaluate(unwatch);
    await studio.evaluate(unpublishByWHIP);
  });

  test('Firefox sends three sizes in VP8; each viewer decodes the one for its place', { timeout }, async (t) => {
    await studio.close();
    fox = await Person.start('firefox', 'studio', 3);
    await fox.open(origin);
    await fox.evaluate(`e2e.sending = ${sending}`);
    assert.equal(await fox.evaluate(publish, 'layers-firefox', 'vp8', { width, height, rate: 12 }), 'vp8');
    await audience.evaluate(watch, 'layers-firefox', [200, 400, 900]);
    t.diagnostic(JSON.stringify(await audience.evaluate(decode, sizes)));
    await audience.evaluate(resize, [900, 200, 400]);
    t.diagnostic(`other places: ${JSON.stringify(await audience.evaluate(decode, [sizes[2], sizes[0], sizes[1]]))}`);
    await dynacast(t, fox, audience, sizes, 'vp8');
    await fox.evaluate(unpublish);
  });
});
