// A call of two Chromiums and a Firefox through the real binary: pictures, sound, mute, screen, chat, data, a lost socket.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';
import { openAll, resetTCP } from '../lib/firewall.mjs';
import { port } from '../lib/server.mjs';

const timeout = 120_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** What a call drops by its nature: at its ends, before the first key frame, what the sender repeats or pads, and what a client had no time for. */
const ordinaryDrops = [
  'unknown_source', 'consent', 'dtls_closed', 'no_key_frame', 'slot_switching', 'slot_empty', 'unpublished', 'rtp_duplicate', 'rtp_padding',
  'too_late', 'not_loudest', 'pair_detour', 'layer_left_out', 'paused', 'nack_unknown', 'nack_too_often', 'srtp_no_keys', 'paced',
  'dtls_epoch',
];

/** Counters that only a fault, or somebody else's, would move. */
const neverCounted = [
  'parley_session_refused_joins_total', 'parley_session_refused_resumes_total', 'parley_session_malformed_messages_total',
  'parley_session_oversized_messages_total', 'parley_session_hasty_messages_total', 'parley_session_slow_readers_total',
  'parley_session_timeouts_total', 'parley_transport_faults_total', 'parley_room_faults_total', 'parley_udp_send_failed_datagrams_total',
  'parley_udp_read_errors_total', 'parley_udp_kernel_dropped_datagrams_total', 'parley_tcp_refused_connections_total',
];

describe('a call', () => {
  let call;
  before(async () => {
    call = await Call.start('call', [['ann', 'chromium', 1], ['bob', 'chromium', 2], ['eve', 'firefox', 3]]);
    await call.meet('tea');
  }, { timeout: 180_000 });
  after(() => call?.close());

  test("everybody decodes everybody else's picture and hears the tone", { timeout }, async (t) => {
    await call.allSeeAndHear((line) => t.diagnostic(line));
  });

  test('media travel over UDP to an address of the server', { timeout }, async () => {
    for (const person of call.people) {
      const path = await person.evaluate(() => e2e.path());
      assert.equal(path?.protocol, 'udp', person.name);
      assert.equal(await person.evaluate(() => e2e.room.mediaPath), 'udp', person.name);
    }
  });

  test('a muted microphone is silent and marked so; unmuted it is heard again', { timeout }, async () => {
    for (const muted of [true, false]) {
      await call.ann.evaluate((m) => e2e.published.microphone[m ? 'mute' : 'unmute'](), muted);
      for (const viewer of [call.bob, call.eve]) {
        await viewer.evaluate(async (muted) => {
          const publication = await e2e.publication('ann', 'microphone');
          await e2e.until(() => publication.muted === muted, `muted ${muted}`);
        }, muted);
        if (muted) await viewer.evaluate(async () => e2e.hearNothing((await e2e.subscription('ann', 'microphone')).stream));
        else await viewer.evaluate((hz) => e2e.listen('ann', hz), call.ann.frequency);
      }
    }
  });

  test('a muted camera shows nothing of the picture; unmuted it is seen again', { timeout }, async () => {
    await call.bob.evaluate(() => e2e.published.camera.mute());
    for (const viewer of [call.ann, call.eve]) {
      await viewer.evaluate(async () => {
        const publication = await e2e.publication('bob', 'camera');
        await e2e.until(() => publication.muted, 'the mark');
        const tile = await e2e.tile('bob');
        await e2e.until(() => ['black', 'none'].includes(e2e.look(tile).kind), 'a black picture');
      });
    }
    await call.bob.evaluate(() => e2e.published.camera.unmute());
    for (const viewer of [call.ann, call.eve]) await viewer.evaluate((looks) => e2e.see('bob', looks), call.bob.looks);
  });

  test('a screen is shared beside the camera, and ends for everybody', { timeout }, async () => {
    await call.ann.evaluate(async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 800 });
      canvas.style = 'position:fixed;inset:0;width:100vw;height:100vh;z-index:9';
      document.body.append(canvas);
      let n = 0;
      e2e.shown = setInterval(() => e2e.draw(canvas.getContext('2d'), 12, n++), 100);
      e2e.canvas = canvas;
      const screen = await navigator.mediaDevices.getDisplayMedia({ video: true, preferCurrentTab: true });
      await e2e.publish(screen, { source: 'screen' });
    });
    for (const viewer of [call.bob, call.eve]) {
      await viewer.evaluate(() => e2e.see('ann', 12, { source: 'screen' }));
      await viewer.evaluate((looks) => e2e.see('ann', looks), call.ann.looks);
    }
    await call.ann.evaluate(async () => {
      clearInterval(e2e.shown);
      e2e.canvas.remove();
      e2e.published.screen.track.stop();
      await e2e.room.unpublish(e2e.published.screen);
    });
    for (const viewer of [call.bob, call.eve]) {
      await viewer.evaluate(() => e2e.until(() => e2e.ended.includes('ann screen'), 'the end of the screen'));
    }
  });

  test('data messages reach everybody, or the one they are for, and nobody twice', { timeout }, async () => {
    await call.ann.evaluate(async () => {
      await e2e.room.send('to all');
      await e2e.room.send(new Uint8Array([1, 2, 3]), { reliable: true });
      await e2e.room.send('only eve', { to: 'eve' });
      await e2e.room.send('the last');
    });
    const received = (person) => person.evaluate(async () => {
      await e2e.until(() => e2e.data.some((d) => d.data === 'the last'), 'the last message');
      return e2e.data.filter((d) => d.reliable).map((d) => (typeof d.data === 'string' ? d.data : [...d.data].join()));
    });
    assert.deepEqual(await received(call.bob), ['to all', '1,2,3', 'the last']);
    assert.deepEqual(await received(call.eve), ['to all', '1,2,3', 'only eve', 'the last']);
    await call.bob.evaluate(async () => {
      for (let i = 0; i < 20; i++) await e2e.room.send(`lossy ${i}`, { reliable: false });
    });
    await call.eve.evaluate(() => e2e.until(() => e2e.data.some((d) => d.from === 'bob' && !d.reliable), 'a lossy message'));
  });

  test('somebody who comes late is told what was said, and sees and hears those who are there', { timeout }, async () => {
    await call.bob.evaluate(() => e2e.room.sendMessage('before dora came'));
    for (const person of call.people) {
      await person.evaluate(() => e2e.until(() => e2e.chat.some((m) => m.from === 'bob' && m.text === 'before dora came'), 'the message'));
    }
    const dora = await call.person('dora', 'chromium', 4);
    try {
      await dora.evaluate((options) => e2e.enter(options), { room: 'tea', identity: 'dora', name: 'Dora' });
      const said = await dora.evaluate(() => e2e.room.messages.map((m) => `${m.from}: ${m.text}`));
      assert.deepEqual(said, ['bob: before dora came']);
      for (const other of [call.ann, call.bob, call.eve]) {
        await dora.evaluate((name, looks) => e2e.see(name, looks), other.name, other.looks);
        await dora.evaluate((name, hz) => e2e.listen(name, hz), other.name, other.frequency);
      }
      await dora.evaluate(() => e2e.room.leave());
      await call.ann.evaluate(() => e2e.until(() => !e2e.room.participants.has('dora'), 'dora to be gone'));
    } finally {
      call.people = call.people.filter((person) => person !== dora);
      await dora.close();
    }
  });

  test('a WebSocket that is cut for 5 s freezes no picture, loses no message and repeats none', { timeout }, async (t) => {
    const connections = () => Promise.all(call.people.map((person) => person.evaluate(() => e2e.connections.length)));
    const before = await connections();
    await call.each((viewer, other) => viewer.evaluate(async (name) => {
      (e2e.gaps ??= {})[name] = e2e.watchGaps(await e2e.tile(name));
    }, other.name));
    resetTCP(port);
    let sending;
    try {
      for (const person of call.people) {
        await person.evaluate(() => e2e.until(() => e2e.room.connectionState === 'reconnecting', 'the loss to be noticed'));
      }
      sending = call.ann.evaluate(() => e2e.room.sendMessage('said without a socket'));
      await pause(5000);
    } finally {
      openAll();
    }
    await sending;
    for (const person of call.people) {
      await person.evaluate(() => e2e.until(() => e2e.room.connectionState === 'connected', 'the session to go on', 30000));
    }
    await call.eve.evaluate(() => e2e.room.sendMessage('said afterwards'));
    for (const person of call.people) {
      const said = await person.evaluate(async () => {
        await e2e.until(() => e2e.chat.some((m) => m.text === 'said afterwards'), 'the message', 20000);
        return e2e.chat.map((m) => m.text).slice(-2);
      });
      assert.deepEqual(said, ['said without a socket', 'said afterwards'], person.name);
    }
    assert.deepEqual(await connections(), before, 'media were connected anew');
    const gaps = [];
    await call.each(async (viewer, other) => {
      gaps.push({ viewer, other, ...await viewer.evaluate((name) => e2e.gaps[name](), other.name) });
    });
    const stoodStillMs = (person) => Math.max(...gaps.filter(({ viewer }) => viewer === person).map((gap) => gap.stoodStillMs));
    for (const { viewer, other, rate, longestGapMs } of gaps) {
      const still = stoodStillMs(viewer) + stoodStillMs(other); // who sends a picture may be as late as who shows it
      t.diagnostic(`${viewer.name} saw ${rate} pictures of ${other.name} a second, the longest gap was ${longestGapMs} ms; both pages stood still for ${still} ms at most`);
      assert.ok(rate > 10 && longestGapMs < 500 + still, `${viewer.name}'s picture of ${other.name}`);
    }
    await call.allSeeAndHear();
  });

  test('the server has dropped only what a healthy call brings, and refused nothing', { timeout }, async (t) => {
    const drops = Object.entries(await call.server.counters('parley_dropped_datagrams_total', 'reason')).filter(([, count]) => count > 0);
    t.diagnostic(`dropped: ${drops.map(([reason, count]) => `${reason} ${count}`).join(', ')}`);
    assert.deepEqual(drops.filter(([reason]) => !ordinaryDrops.includes(reason)), [], 'reasons that no healthy call has');
    for (const name of neverCounted) assert.equal(await call.server.metric(name), 0, name);
    assert.equal(Object.values(await call.server.counters('parley_room_refusals_total', 'code')).reduce((a, b) => a + b, 0), 0, 'refusals');
    assert.equal(await call.server.metric('parley_session_joins_total'), 4);
    assert.ok((await call.server.metric('parley_session_resumes_total')) >= 3, 'three sessions went on over another socket');
  });
});
