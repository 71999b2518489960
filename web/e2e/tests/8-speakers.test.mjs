// Many in a room: who speaks is told and seen, three voices are heard, whom somebody pins stays, and voices are sent twice.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';

const timeout = 120_000;
const names = ['p1', 'p2', 'p3', 'p4', 'p5'];

/** In the page: everybody of a list joins with a picture and a voice of his own, which is silent until e2e.talk(names). */
const crowd = async (room, names) => {
  const { join } = await import(`${location.origin}/sdk/parley.js`);
  const context = await e2e.audioContext();
  const syllables = new OscillatorNode(context, { type: 'square', frequency: 2.5 });
  const half = new GainNode(context, { gain: 0.1 });
  syllables.connect(half);
  syllables.start();
  const voices = new Map();
  for (const [i, identity] of names.entries()) {
    const tone = new OscillatorNode(context, { frequency: 300 + 150 * i });
    const mouth = new GainNode(context, { gain: 0.1 }); // with the syllables: 0 or 0.2
    const open = new GainNode(context, { gain: 0 });
    const out = context.createMediaStreamDestination();
    half.connect(mouth.gain);
    tone.connect(mouth).connect(open).connect(out);
    tone.start();
    const member = await join({ url: location.origin, room, identity, manualSubscribe: true });
    await member.publish(out.stream.getAudioTracks()[0], { source: 'microphone' });
    await member.publish(e2e.film(i + 1).track, { source: 'camera' });
    voices.set(identity, { open, member });
  }
  e2e.talk = (talking) => {
    for (const [identity, { open }] of voices) open.gain.setTargetAtTime(talking.includes(identity) ? 1 : 0, context.currentTime, 0.01);
  };
  e2e.voiceOf = (identity) => voices.get(identity).member;
};

/** In the page: whose cameras arrive and move, by name. */
const seen = async () => {
  const count = async () => new Map(await Promise.all([...e2e.room.participants.values()].map(async (p) => {
    const camera = [...p.publications.values()].find((it) => it.source === 'camera');
    return [p.identity, (camera?.subscription.status === 'active' && (await camera.subscription.stats())?.framesDecoded) || 0];
  })));
  const before = await count();
  await e2e.sleep(700);
  return [...(await count())].filter(([name, frames]) => frames > before.get(name)).map(([name]) => name).sort();
};

/** In the page: how many packets of each voice arrive in a second and a half. */
const heard = async () => {
  const count = async () => new Map(await Promise.all([...e2e.room.participants.values()].map(async (p) => {
    const voice = [...p.publications.values()].find((it) => it.source === 'microphone');
    return [p.identity, (await voice?.subscription.stats())?.packetsReceived ?? 0];
  })));
  const before = await count();
  await e2e.sleep(1500);
  return Object.fromEntries([...(await count())].map(([name, packets]) => [name, packets - before.get(name)]));
};

/** In the page: the mean payload of a packet of p1's voice in two seconds, as it is sent or received here. */
const bytesAPacket = async (direction) => {
  const count = async () => {
    const sender = () => e2e.voiceOf('p1').peerConnection.getSenders().find((s) => s.track?.kind === 'audio');
    const report = direction === 'sent'
      ? await sender().getStats()
      : (await (await e2e.publication('p1', 'microphone')).subscription.stats()).report;
    const s = [...report.values()].find(({ type }) => type === (direction === 'sent' ? 'outbound-rtp' : 'inbound-rtp'));
    return direction === 'sent' ? [s.bytesSent, s.packetsSent] : [s.bytesReceived, s.packetsReceived];
  };
  const before = await count();
  await e2e.sleep(2000);
  const now = await count();
  return Math.round((now[0] - before[0]) / (now[1] - before[1]));
};

describe('many in a room', () => {
  let call;
  before(async () => {
    call = await Call.start('speakers', [['crowd', 'chromium', 1], ['zoe', 'chromium', 2], ['eve', 'firefox', 3]]);
    await call.crowd.evaluate(crowd, 'hall', names);
    await call.zoe.evaluate(() => e2e.enter({ room: 'hall', identity: 'zoe', lastN: 2 }));
    await call.eve.evaluate(() => e2e.enter({ room: 'hall', identity: 'eve' }));
    for (const viewer of [call.zoe, call.eve]) {
      await viewer.evaluate(async (names, parts) => {
        [e2e.seen, e2e.heard] = parts.map((code) => eval(`(${code})`)); // the page of a test forbids nothing
        for (const name of names) await e2e.publication(name, 'camera');
      }, names, [String(seen), String(heard)]);
    }
  }, { timeout });
  after(() => call?.close());

  const talk = (...talking) => call.crowd.evaluate((talking) => e2e.talk(talking), talking);

  /** Waits until a viewer takes somebody for the one who leads; gives after how many ms. */
  const leads = (viewer, name) => viewer.evaluate(async (name) => {
    const begin = performance.now();
    await e2e.until(() => e2e.room.dominantSpeaker?.identity === name, `${name} leads`);
    return Math.round(performance.now() - begin);
  }, name);

  /** Waits until just these are seen by zoe, who has asked for two. */
  const sees = (...expected) => call.zoe.evaluate(async (expected) => {
    let last;
    await e2e.until(async () => String((last = await e2e.seen())) === String(expected), 'cameras').catch((error) => {
      throw new Error(`${error.message}: ${last} instead of ${expected}`);
    });
  }, expected);

  test('who talks leads, at every viewer, and is among the last two who are seen', { timeout }, async (t) => {
    await talk('p3');
    t.diagnostic(`p3 leads after ${await Promise.all([call.zoe, call.eve].map((viewer) => leads(viewer, 'p3')))} ms`);
    await talk('p5');
    t.diagnostic(`p5 leads after ${await Promise.all([call.zoe, call.eve].map((viewer) => leads(viewer, 'p5')))} ms`);
    await sees('p3', 'p5');
    assert.equal(await call.zoe.evaluate(() => [...e2e.room.participants.get('p2').publications.values()].find((p) => p.source === 'camera').subscription.isLeftOut), true);
    await talk();
    await call.eve.evaluate(() => e2e.until(() => e2e.room.speakers.length === 0, 'silence'));
    assert.equal(await call.eve.evaluate(() => e2e.room.dominantSpeaker.identity), 'p5', 'who led goes on leading through a pause');
  });

  test('whom somebody pins stays in sight, whoever talks', { timeout }, async () => {
    const pin = (priority) => call.zoe.evaluate(async (priority) => {
      (await e2e.publication('p1', 'camera')).subscription.prefer({ priority });
    }, priority);
    await pin(255);
    await talk('p4');
    await leads(call.zoe, 'p4');
    await sees('p1', 'p4');
    await talk('p2');
    await leads(call.zoe, 'p2');
    await sees('p1', 'p2');
    await pin(100);
    await sees('p2', 'p4');
  });

  test('of five who talk at once three are heard', { timeout }, async (t) => {
    await talk(...names);
    await new Promise((done) => setTimeout(done, 2000));
    for (const viewer of [call.zoe, call.eve]) {
      const packets = await viewer.evaluate(() => e2e.heard());
      t.diagnostic(`${viewer.name}: ${JSON.stringify(packets)}`);
      const voices = Object.values(packets).filter((n) => n > 20);
      assert.equal(voices.length, 3, `${viewer.name} hears ${JSON.stringify(packets)}`);
    }
  });

  test('voices are sent twice to the server, and once to Firefox, which knows no redundancy', { timeout }, async (t) => {
    await talk('p1');
    await leads(call.eve, 'p1');
    const [sent, received] = await Promise.all([call.crowd.evaluate(bytesAPacket, 'sent'), call.eve.evaluate(bytesAPacket, 'received')]);
    t.diagnostic(`${sent} bytes in a packet sent, ${received} in one received`);
    assert.ok(sent > 1.5 * received, `${sent} and ${received} bytes`);
    await call.eve.evaluate((hz) => e2e.listen('p1', hz), 300);
  });
});
