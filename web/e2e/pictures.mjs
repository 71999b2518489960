// Takes the README's pictures anew, from the app in a real call: npm run pictures, after make build.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { App } from './lib/app.mjs';
import { Call } from './lib/call.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '../../docs/images');
const maxBytes = 150_000;
const room = 'calm-otter-bridge';
const desk = { width: 1280, height: 800, deviceScaleFactor: 1.5 };
const cast = ['Ann Lee', 'Mia Rossi', 'Jonas Berg', 'Amina Diallo', 'Kenji Watanabe', 'Zoë Novak'];
const talk = [
  [1, 'Good morning! The plan is at https://example.org/plan'],
  [3, 'Thank you, Mia. I have two questions about the dates.'],
  [0, 'Let us look at it together: who shares?'],
  [1, 'I do, in a minute.'],
];

/** The drawings, as a script. */
function drawings() {
  const out = mkdtempSync(path.join(tmpdir(), 'drawings-'));
  const compiler = path.join(here, '../app/node_modules/.bin/tsc');
  execFileSync(compiler, ['--ignoreConfig', '--target', 'es2022', '--lib', 'es2023,dom', '--outDir', out, path.join(here, '../app/dev/pictures.ts')]);
  return readFileSync(path.join(out, 'pictures.js'), 'utf8').replaceAll(/^export /gm, '');
}

async function take(app, name) {
  await app.page.bringToFront();
  await app.page.mouse.move(0, 0);
  await app.until(() => !document.querySelector('.toast'), 'no messages');
  const file = path.join(folder, `${name}.webp`);
  await app.page.screenshot({ path: file, type: 'webp', quality: 82 });
  const { size } = statSync(file);
  assert.ok(size < maxBytes, `${file} has ${size} bytes`);
  console.log(`${name}.webp: ${Math.round(size / 1000)} kB`);
}

/** Somebody's page before joining. */
async function comes(app, number) {
  await app.page.evaluateOnNewDocument(`${script};e2e.beFilmed(${number})`);
  await app.page.bringToFront();
  await app.open(`/r/${room}`);
  await app.until(() => document.querySelector('.preview video')?.videoWidth > 0, 'the preview');
}

const script = `${drawings()};${readFileSync(path.join(here, 'page/studio.js'), 'utf8')}`;

test('the pictures of the README', { timeout: 240_000 }, async () => {
  const call = await Call.start('pictures', []);
  try {
    const ann = await App.start(call, cast[0], 1);
    await ann.page.setViewport(desk);
    await comes(ann, 0);
    await ann.write('Your name', ann.name);
    await ann.evaluate(() => e2e.speak(true));
    await ann.until(() => Number(document.querySelector('.meter-bar').style.getPropertyValue('--level')) > 0.4, 'the meter');
    await take(ann, 'prejoin');
    await ann.evaluate(() => e2e.speak(false));
    await ann.join();

    const people = [ann];
    for (const [i, name] of cast.entries()) {
      if (i === 0) continue;
      const isPhone = name.startsWith('Jonas');
      const one = await ann.another(name, { isPhone });
      await comes(one, i);
      await one.join();
      if (name.startsWith('Kenji')) await one.press('Mute');
      people.push(one);
    }
    const [, mia, jonas] = people;
    for (const [i, text] of talk) {
      await people[i].page.bringToFront();
      await people[i].openChat();
      await people[i].write('Message to everyone', text);
      await people[i].press('Send');
      await people[i].read(text);
      await people[i].press('Close');
    }
    await mia.evaluate(() => e2e.speak(true));

    const settled = (app, width) => app.until((count, width) => e2e.allSharp(count, width) && document.querySelector('.tile.speaking'),
      'sharp pictures', people.length, width);
    await ann.page.bringToFront();
    await settled(ann, 640);
    await take(ann, 'call');

    await ann.openChat();
    await settled(ann, 640);
    await take(ann, 'chat');
    await ann.press('Close');

    await jonas.page.bringToFront();
    await settled(jonas, 480);
    await take(jonas, 'phone');

    await mia.page.bringToFront();
    await mia.press('Share screen');
    await mia.read('Everyone sees your screen.');
    await ann.page.bringToFront();
    await ann.until(() => document.querySelector('.tile.share video')?.videoWidth >= 1280 && document.querySelector('.strip .tile.speaking'), 'the screen');
    await take(ann, 'share');
  } finally {
    await call.close();
  }
});
