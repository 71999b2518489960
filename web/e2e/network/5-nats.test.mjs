// People behind NATs: what ICE servers are for, and how long it takes to be in a call.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';
import { callDirectly } from '../lib/direct.mjs';
import { Homes } from '../lib/homes.mjs';

const timeout = 240_000;
const percentile = (all, p) => [...all].sort((a, b) => a - b)[Math.max(0, Math.ceil(all.length * p) - 1)];

const kinds = (process.env.PARLEY_E2E_BROWSERS ?? 'chromium,firefox').split(',');
const joins = Number(process.env.PARLEY_E2E_JOINS ?? 25);

/** In the page: the configuration of a connection to another participant. */
const among = async () => {
  const answer = await fetch('/v1/ice-servers?for=participant');
  return { iceServers: (await answer.json()).iceServers };
};

for (const kind of kinds) {
  describe(`a ${kind} and a chromium, each behind a NAT`, () => {
    let homes;
    let call;
    before(async () => {
      homes = new Homes();
      call = await Call.startAt(homes, `nats-${kind}`, [['ann', kind, 1], ['bob', 'chromium', 2, homes.b]]);
      for (const person of call.people) await person.evaluate(() => e2e.openCamera());
    }, { timeout });
    after(async () => {
      await call?.close();
      homes?.close();
    });

    /** Ann sends to bob with the ICE servers for participants; gives the path at both ends. */
    const sends = async () => {
      for (const person of call.people) await person.evaluate(() => (e2e.source = { stream: e2e.camera }) && undefined);
      await callDirectly(call.ann, call.bob, [await call.ann.evaluate(among), await call.bob.evaluate(among)]);
      await call.bob.evaluate((looks) => e2e.recognise(e2e.directly.ann, looks), call.ann.looks);
      const paths = await Promise.all(call.people.map((person) => person.evaluate(() => e2e.path())));
      await Promise.all(call.people.map((person) => person.evaluate(() => e2e.direct.close())));
      return paths;
    };

    test('symmetric ones: they are relayed to each other by the ICE servers for participants', { timeout }, async (t) => {
      homes.nat('a', 'symmetric');
      homes.nat('b', 'symmetric');
      const paths = await sends();
      t.diagnostic(JSON.stringify(paths));
      for (const path of paths) assert.ok([path?.type, path?.remoteType].includes('relay'), JSON.stringify(path));
    });

    test('UDP is blocked for one of them: he is relayed by TCP', { timeout }, async (t) => {
      homes.nat('a', 'UDP blocked');
      const [ann, bob] = await sends();
      t.diagnostic(JSON.stringify([ann, bob]));
      assert.deepEqual([ann?.type, ann?.relayProtocol], ['relay', 'tcp']);
    });

    for (const [nat, protocol, paths] of [['symmetric', 'udp', ['udp']], ['UDP blocked', 'tcp', ['tcp', 'turn/tcp']]]) {
      test(`${nat}: both are in a room, with the ICE servers for connections to the server, over ${paths.join(' or ')}`, { timeout }, async (t) => {
        homes.nat('a', nat);
        for (const person of call.people) await person.open(call.origin); // whose tiles are those of no other room
        await call.meet(nat);
        await call.allSeeAndHear((line) => t.diagnostic(line));
        const path = await call.ann.evaluate(() => e2e.path());
        t.diagnostic(JSON.stringify(path));
        assert.equal(path.protocol, protocol);
        // The SDK looks every 10 s; Firefox may begin by TCP.
        await call.ann.evaluate((paths) => e2e.until(() => paths.includes(e2e.room.mediaPath), paths.join()), paths);
        if (protocol === 'udp') assert.ok(['host', 'prflx'].includes(path.type), path.type);
      });
    }
  });

  describe(`a ${kind} that joins`, () => {
    let homes;
    let call;
    before(async () => {
      homes = new Homes();
      call = await Call.startAt(homes, `joins-${kind}`, [['bob', 'chromium', 2, homes.server]]);
      await call.meet('tea');
      await call.person('ann', kind, 1);
    }, { timeout });
    after(async () => {
      await call?.close();
      homes?.close();
    });

    /** In the page: joins and leaves again and again; gives for each the ms from join() until it was let in, until it was connected, and until a first packet of media. */
    const joinAgain = async (times, policy) => {
      const Given = window.RTCPeerConnection;
      if (policy) {
        window.RTCPeerConnection = class extends Given {
          constructor(configuration) {
            super({ ...configuration, iceTransportPolicy: policy });
          }
        };
      }
      const { join } = await import(`${location.origin}/sdk/parley.js`);
      const all = [];
      try {
        for (let i = 0; i < times; i++) {
          const began = performance.now();
          const room = await join({ url: location.origin, room: 'tea', identity: `ann-${policy}-${i}` });
          const letIn = performance.now() - began;
          const pc = room.peerConnection;
          let connected = 0;
          const note = () => {
            if (pc.connectionState === 'connected') connected ||= performance.now() - began;
          };
          pc.addEventListener('connectionstatechange', note);
          const came = async () => [...(await pc.getStats()).values()].some((s) => s.type === 'inbound-rtp' && s.packetsReceived > 0);
          while (!(await came())) {
            if (performance.now() - began > 20_000) throw new Error(`no media: ${pc.iceConnectionState}, ${pc.connectionState}`);
            await e2e.sleep(5);
          }
          const media = performance.now() - began;
          await e2e.until(() => room.peerConnection.connectionState === 'connected', 'a connection');
          const { type, protocol, relayProtocol } = await e2e.pathOf(room.peerConnection);
          all.push({ letIn, connected, media, path: type === 'relay' ? `turn/${relayProtocol}` : protocol });
          await room.leave();
          await e2e.sleep(200);
        }
      } finally {
        window.RTCPeerConnection = Given;
      }
      return all;
    };

    for (const [way, nat, policy, within, paths] of [
      ['directly', 'port restricted', undefined, 500, ['udp']],
      ['directly behind a symmetric NAT', 'symmetric', undefined, 500, ['udp']],
      ['where UDP is blocked', 'UDP blocked', undefined, 900, ['tcp', 'turn/tcp']],
      ['by the relay alone', 'UDP blocked', 'relay', 900, ['turn/tcp']],
    ]) {
      test(`${way} has media within ${within} ms (95th percentile)`, { timeout }, async (t) => {
        homes.nat('a', nat);
        await call.ann.evaluate(joinAgain, 2, policy); // what a browser does once
        const all = await call.ann.evaluate(joinAgain, joins, policy);
        for (const what of ['letIn', 'connected', 'media']) {
          const ms = all.map((one) => one[what]);
          t.diagnostic(`${what}: p50 ${Math.round(percentile(ms, 0.5))} ms, p95 ${Math.round(percentile(ms, 0.95))} ms, most ${Math.round(Math.max(...ms))} ms of ${ms.length}`);
        }
        t.diagnostic(`over ${[...new Set(all.map((one) => one.path))].join(', ')}`);
        for (const one of all) assert.ok(paths.includes(one.path), one.path);
        const p95 = percentile(all.map((one) => one.media), 0.95);
        assert.ok(p95 <= within, `${p95} ms`);
      });
    }
  });
}
