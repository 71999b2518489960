// Every codec that the server forwards, by WHIP and WHEP from one Chromium: what is published is decoded behind the server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Person } from '../lib/browser.mjs';
import { Server, origin } from '../lib/server.mjs';

/** In the page: a call by HTTP alone. Resolves with its connection and the resource that ends it. */
const exchange = async (pc, path) => {
  await pc.setLocalDescription();
  if (pc.iceGatheringState !== 'complete') await new Promise((done) => pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && done()));
  const answer = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  return answer.headers.get('Location');
};

/** In the page: publishes the camera with one codec and receives it; resolves with the codec and size that are decoded. */
const roundTrip = async (codec, room) => {
  const camera = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  const [sending, receiving] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const ends = [];
  try {
    for (const track of camera.getTracks()) {
      const transceiver = sending.addTransceiver(track, { direction: 'sendonly' });
      if (track.kind === 'audio') continue;
      const wanted = RTCRtpSender.getCapabilities('video').codecs.filter((c) => [`video/${codec}`, 'video/rtx'].includes(c.mimeType));
      transceiver.setCodecPreferences(wanted);
    }
    ends.push(await e2e.exchange(sending, `/whip/${room}?identity=studio`));
    for (const kind of ['audio', 'video']) receiving.addTransceiver(kind, { direction: 'recvonly' });
    const viewed = new Promise((done) => (receiving.ontrack = ({ track, streams }) => track.kind === 'video' && done(streams[0])));
    for (const end = Date.now() + 10_000; ;) {
      try {
        ends.push(await e2e.exchange(receiving, `/whep/${room}`));
        break;
      } catch (error) {
        if (Date.now() > end || !/404/.test(error.message)) throw error;
        await new Promise((done) => setTimeout(done, 200));
      }
    }
    await e2e.play(await viewed);
    for (const end = Date.now() + 15_000; ;) {
      const stats = [...(await receiving.getStats()).values()];
      const video = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded >= 20);
      const audio = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio' && s.packetsReceived >= 20);
      if (video && audio) return { codec: stats.find((s) => s.id === video.codecId)?.mimeType, frames: video.framesDecoded, width: video.frameWidth };
      if (Date.now() > end) throw new Error(`${codec}: nothing is decoded: ${JSON.stringify(stats.filter((s) => s.type === 'inbound-rtp'))}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  } finally {
    for (const end of ends) await fetch(end, { method: 'DELETE' });
    sending.close();
    receiving.close();
    for (const track of camera.getTracks()) track.stop();
  }
};

describe('codecs', () => {
  let server;
  let person;
  before(async () => {
    server = await Server.start('codecs');
    person = await Person.start('chromium', 'ann', 4);
    await person.open(origin);
    await person.evaluate(`e2e.exchange = ${exchange}`);
  }, { timeout: 90_000 });
  after(async () => {
    await person?.close();
    await server?.stop();
  });

  for (const codec of ['VP8', 'VP9', 'H264', 'AV1']) {
    test(`${codec} is published by WHIP and decoded by WHEP`, { timeout: 60_000 }, async (t) => {
      const seen = await person.evaluate(roundTrip, codec, `codec-${codec.toLowerCase()}`);
      t.diagnostic(JSON.stringify(seen));
      assert.equal(seen.codec, `video/${codec}`);
    });
  }
});
