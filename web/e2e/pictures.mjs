// Takes the README's pictures anew, from the app in a real call: npm run pictures, after make build.

import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { App } from './lib/app.mjs';
import { Call } from './lib/call.mjs';
import { compiled } from './lib/compiled.mjs';

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

const notes = [
  [0, 'Spring release\n\n1. The plan is as in Mia’s slides.'],
  [1, '\n2. Ten friends try it from 15 March.'],
  [0, '\n\nTo do\n- Amina asks the friends'],
  [1, '\n- Kenji: a test server'],
];

/** A line that a hand might draw, as points in parts of the board. */
const line = (from, to) => Array.from({ length: 13 }, (_, i) => [0, 1].map((k) => from[k] + ((to[k] - from[k]) * i) / 12 + 0.002 * Math.sin(2 * i + k)));
const circle = (x, y, r) => Array.from({ length: 33 }, (_, i) => [x + r * Math.cos(i / 5), y + (4 / 3) * r * Math.sin(i / 5)]);
const box = (x, y, w, h) => [[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]].flatMap((corner, i, all) => (i === 0 ? [] : line(all[i - 1], corner)));
/** Who draws what, in which colour: a server, and three who talk through it. */
const drawing = [
  [1, [
    ['Blue', box(0.38, 0.14, 0.24, 0.2)], ['Blue', line([0.42, 0.21], [0.58, 0.21])], ['Blue', line([0.42, 0.27], [0.53, 0.27])],
    ['Red', line([0.23, 0.59], [0.4, 0.37])], ['Red', line([0.5, 0.64], [0.5, 0.37])],
  ]],
  [0, [
    ['Black', circle(0.18, 0.7, 0.075)], ['Black', circle(0.5, 0.76, 0.075)], ['Black', circle(0.82, 0.7, 0.075)],
    ['Green', line([0.77, 0.59], [0.6, 0.37])], ['Orange', line([0.68, 0.2], [0.9, 0.17])],
  ]],
];

/** The drawings, as a script. */
const drawings = () => readFileSync(path.join(compiled('dev/pictures.ts'), 'pictures.js'), 'utf8').replaceAll(/^export /gm, '');

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

/** The others come, each in a tab of the first one's browser. */
async function others(ann, names) {
  const people = [];
  for (const name of names) {
    const one = await ann.another(name, { isPhone: name.startsWith('Jonas') });
    await comes(one, cast.indexOf(name));
    await one.join();
    if (name.startsWith('Kenji')) await one.press('Mute');
    people.push(one);
  }
  return people;
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

    const people = [ann, ...await others(ann, cast.slice(1))];
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
    await ann.until((count) => document.querySelector('.tile.share video')?.videoWidth >= 1280 && document.querySelector('.strip .tile.speaking') && e2e.allSharp(count, 160),
      'the screen', people.length);
    await take(ann, 'share');
  } finally {
    await call.close();
  }
});

test('the picture of what people make together', { timeout: 240_000 }, async () => {
  const call = await Call.start('pictures-board', []);
  try {
    const ann = await App.start(call, cast[0], 1);
    await ann.page.setViewport(desk);
    await comes(ann, 0);
    await ann.join();
    const people = [ann, ...await others(ann, cast.slice(1, 4))];
    const [, mia, jonas] = people;
    for (const [i, strokes] of drawing) {
      await people[i].page.bringToFront();
      await people[i].openFromMenu('Whiteboard');
      for (const [colour, points] of strokes) {
        await people[i].press(colour);
        await people[i].draw(...points);
      }
    }
    await mia.page.bringToFront();
    await mia.openFromMenu('Notes');
    await ann.page.bringToFront();
    await ann.openFromMenu('Notes');
    for (const [i, text] of notes) {
      await people[i].page.bringToFront();
      await people[i].writeNotes(text);
    }
    await jonas.page.bringToFront();
    await jonas.press('Raise your hand');
    await ann.page.bringToFront();
    await ann.until((text) => document.querySelector('textarea.notes').value.endsWith(text), 'the notes', notes.at(-1)[1]);
    await ann.until((count) => document.querySelector('.tile-mark.raised') && document.querySelectorAll('.strokes path').length >= 10 && e2e.allSharp(count, 320),
      'the drawing', people.length);
    await take(ann, 'board');
  } finally {
    await call.close();
  }
});
