// The server's own TURN: everybody is given it, and whom nothing else reaches takes part by it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Call } from '../lib/call.mjs';
import { address } from '../lib/namespace.mjs';
import { port } from '../lib/server.mjs';

const timeout = 120_000;

/** In the page: what connects from now on uses relayed addresses alone. */
const onlyRelayed = () => {
  const Given = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Given {
    constructor(configuration) {
      super({ ...configuration, iceTransportPolicy: 'relay' });
    }
  };
};

const iceServers = (person, whom) => person.evaluate(async (whom) => {
  const answer = await fetch(`/v1/ice-servers?for=${whom}`);
  return (await answer.json()).iceServers.flatMap((server) => server.urls);
}, whom);

describe("the server's own TURN", () => {
  let call;
  before(async () => {
    call = await Call.start('turn', [['ann', 'chromium', 1], ['eve', 'firefox', 2]]);
    await call.meet('tea');
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('is by TCP alone for connections to the server, and by UDP 3478 too for those among participants', { timeout }, async () => {
    const tcp = `turn:${address}:${port}?transport=tcp`;
    assert.deepEqual(await iceServers(call.ann, 'server'), [tcp]);
    assert.deepEqual(await iceServers(call.ann, 'participant'), [tcp, `turn:${address}:3478?transport=udp`, `stun:${address}:3478`]);
  });

  // Chromium takes nothing but answers from an address that it knows as a STUN or TURN server by UDP.
  test('leaves whoever knows it on the direct way', { timeout }, async () => {
    for (const person of call.people) {
      const given = await person.evaluate(() => e2e.connections[0].getConfiguration().iceServers.length);
      assert.ok(given > 0, `${person.name} was given no ICE servers`);
      const path = await person.evaluate(() => e2e.path());
      assert.ok(['host', 'prflx'].includes(path?.type), `${person.name}: ${JSON.stringify(path)}`);
      assert.equal(path.protocol, 'udp', person.name);
    }
    await call.allSeeAndHear();
  });

  test('carries the media of those whom nothing else reaches', { timeout }, async (t) => {
    const direct = call.people;
    call.people = [];
    try {
      for (const [name, kind, number] of [['dora', 'chromium', 3], ['finn', 'firefox', 4]]) {
        const person = await call.person(name, kind, number);
        await person.evaluate(onlyRelayed);
      }
      await call.meet('far');
      await call.allSeeAndHear((line) => t.diagnostic(line));
      for (const person of call.people) {
        const path = await person.evaluate(() => e2e.path());
        assert.equal(path?.type, 'relay', person.name);
        const told = await person.evaluate(() => e2e.room.mediaPath);
        assert.equal(told, 'turn/tcp', person.name);
      }
      assert.ok((await call.server.metric('parley_turn_allocations')) >= 2, 'allocations');
      assert.equal(await call.server.metric('parley_turn_sent_datagrams_total'), 0, 'what goes to media of the same process is on no network');
    } finally {
      const relayed = call.people;
      call.people = direct;
      await Promise.all(relayed.map((person) => person.close()));
    }
  });
});
