// Writes the offers of the installed browsers to internal/sdp/testdata: node run.mjs capture-offers.mjs
// The answers beside them follow with: go test ./internal/sdp -run TestGoldenAnswers -update

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Person } from './lib/browser.mjs';
import { emptyPages } from './lib/server.mjs';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../internal/sdp/testdata');

/** In the page: what each offer has, as lines of transceivers. */
const fill = {
  publish(connection, camera) {
    for (const track of camera.getTracks()) connection.addTransceiver(track, { direction: 'sendonly', streams: [camera] });
  },
  slots(connection) {
    connection.createDataChannel('parley');
    for (let i = 0; i < 4; i++) for (const kind of ['audio', 'video']) connection.addTransceiver(kind, { direction: 'recvonly' });
    for (let i = 0; i < 2; i++) connection.addTransceiver('video', { direction: 'recvonly' });
  },
  simulcast(connection, camera) {
    connection.addTransceiver(camera.getAudioTracks()[0], { direction: 'sendonly', streams: [camera] });
    const sendEncodings = [{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }];
    connection.addTransceiver(camera.getVideoTracks()[0], { direction: 'sendonly', streams: [camera], sendEncodings });
  },
  screen(connection) {
    const { track } = window.e2e.film(1);
    track.contentHint = 'detail';
    connection.addTransceiver(track, { direction: 'sendonly', streams: [new MediaStream([track])] });
  },
};

for (const kind of ['chromium', 'firefox']) {
  describe(kind, () => {
    let pages;
    let person;
    before(async () => {
      pages = await emptyPages();
      person = await Person.start(kind, kind, 1);
      await person.open(pages.url);
      await person.evaluate(() => e2e.openCamera());
    }, { timeout: 90_000 });
    after(async () => {
      await person?.close();
      await pages?.close();
    });

    for (const [name, parts] of [...Object.keys(fill).map((part) => [part, [part]]), ['session', ['publish', 'slots']]]) {
      test(`${kind}-${name}`, { timeout: 30_000 }, async () => {
        const text = await person.evaluate(`(async () => {
          const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
          for (const part of [${parts.map((part) => `function ${fill[part].toString()}`).join()}]) part(connection, e2e.camera);
          await connection.setLocalDescription();
          if (${name === 'session'}) await e2e.until(() => connection.iceGatheringState === 'complete', 'candidates');
          const { sdp } = connection.localDescription;
          connection.close();
          return sdp;
        })()`);
        writeFileSync(path.join(folder, `${kind}-${name}.offer.sdp`), text);
      });
    }
  });
}
