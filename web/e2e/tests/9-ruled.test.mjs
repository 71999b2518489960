// The app while an admin changes what somebody may do: what is over ends and says why, its controls say why they do nothing, and what is given can be
// switched on, but is not by itself.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { App } from '../lib/app.mjs';
import { Call } from '../lib/call.mjs';

const timeout = 120_000;
const decided = 'Whoever runs the meeting has decided so.';
const refused = {
  speak: 'You may not speak in this room',
  show: 'You may not show your camera in this room',
  share: 'You may not share your screen in this room',
  hand: 'You may not raise your hand in this room',
  write: 'You may not write in this room. Whoever runs the meeting can allow it.',
  draw: 'You may not draw in this room.',
};

describe('the app and what an admin rules', () => {
  let call;
  let ann; // at a desk
  let bob; // on a phone
  before(async () => {
    call = await Call.start('ruled', [], '--auth', 'token');
    ann = await App.start(call, 'Ann', 1);
    bob = await App.start(call, 'Bob', 2, { isPhone: true });
    for (const person of [ann, bob]) {
      const identity = person.name.toLowerCase();
      await person.open(`/r/tea#token=${call.server.token('--room', 'tea', '--name', person.name, '--identity', identity)}`);
      await person.page.waitForSelector('.preview video');
      await person.press('Join');
      await person.connected();
    }
    await bob.sees('Ann', ann.number);
  }, { timeout: 180_000 });
  after(() => call?.close());

  const rule = (app, ruling) => call.server.rule({ identity: app.name.toLowerCase(), ...ruling });

  /** Waits until a control is there that says that it does nothing, and why; what pressing it says stands on the screen then. */
  const isRefused = async (app, name, why, says = `${why}.`) => {
    const control = await app.find(`${name}. ${why}.`);
    assert.deepEqual(await control.evaluate((b) => [b.ariaDisabled, b.dataset.tip]), ['true', why]);
    await app.press(`${name}. ${why}.`);
    await app.read(says);
  };

  test('who may not publish any more is told why all of it has ended, and no device stays open', { timeout }, async () => {
    await ann.share(12);
    await bob.sees('Ann’s screen', 12);
    await ann.evaluate(() => {
      e2e.own = document.querySelector('.tile video[aria-label="Ann"]').srcObject.getTracks();
    });
    await rule(ann, { publish: false });
    await ann.read('You may no longer speak, show your camera or share your screen.');
    await ann.read(`${decided} Your microphone and camera are off. Your screen is not shared any more.`);
    await ann.readNoMore('Everyone sees your screen.');
    assert.deepEqual(await ann.evaluate(() => e2e.own.map((track) => track.readyState)), ['ended']);
    await bob.seesNothingOf('Ann');
    await bob.seesNoTile('Ann’s screen');
    await bob.seesMuted('Ann', true);
    await bob.hearsNothing();
    await isRefused(ann, 'Unmute', refused.speak);
    await isRefused(ann, 'Start camera', refused.show);
    await isRefused(ann, 'Share screen', refused.share);
    await ann.page.keyboard.down('Space');
    await ann.page.keyboard.up('Space');
    await ann.page.keyboard.press('m');
    await ann.openFromMenu('Devices');
    await ann.read('no camera or microphone is used');
    await ann.page.keyboard.press('Escape');
    assert.equal(await ann.evaluate(() => [...document.querySelectorAll('.toast')].filter((t) => t.innerText.includes('could not be sent')).length), 0);
    assert.equal(await ann.evaluate(() => document.querySelector('.switch').getAttribute('aria-busy')), 'false');
  });

  test('who may again is told, and is heard as soon as she switches it on; the camera waits for her', { timeout }, async () => {
    await rule(ann, { publish: true });
    await ann.read('You may speak, show your camera and share your screen now.');
    await bob.seesMuted('Ann', true);
    await ann.page.bringToFront();
    const step = await ann.page.waitForSelector('.toast button.small:not(.quiet)', { visible: true });
    assert.equal(await step.evaluate((b) => b.textContent), 'Unmute');
    await step.click();
    await bob.seesMuted('Ann', false);
    await bob.hears(ann.frequency);
    await bob.seesNothingOf('Ann');
    await ann.press('Start camera');
    await bob.sees('Ann', ann.number);
  });

  test('who may only speak stays heard, and knows it also after the page was opened anew', { timeout }, async () => {
    await rule(ann, { sources: ['microphone'] });
    await ann.read('You may no longer show your camera or share your screen.');
    await ann.read(`${decided} Your camera is off.`);
    await bob.seesNothingOf('Ann');
    await bob.hears(ann.frequency);
    await ann.page.reload();
    await ann.page.waitForSelector('.preview video');
    await ann.press('Join');
    await ann.connected();
    await isRefused(ann, 'Start camera', refused.show);
    await bob.hears(ann.frequency);
    await ann.openFromMenu('Devices');
    await ann.read(`${refused.show}. Whoever runs the meeting can allow it.`);
    await ann.page.keyboard.press('Escape');
    await rule(ann, { sources: [] });
    await ann.read('You may show your camera and share your screen now.');
    await ann.press('Start camera');
    await bob.sees('Ann', ann.number);
  });

  test('who may not write any more reads on: the chat, the notes, the whiteboard and the hands', { timeout }, async () => {
    await bob.press('Raise your hand');
    await ann.seesHand('Bob', 1);
    await bob.press('Chat');
    await bob.write('Message to everyone', 'Half a thou');
    await rule(bob, { publishData: false });
    await bob.read('You may no longer write, draw or raise your hand.');
    await bob.read(refused.write);
    await bob.fitsFingers('the chat of who may not write');
    await ann.press('Chat');
    await ann.write('Message to everyone', 'Bob, can you read this?');
    await ann.press('Send');
    await bob.read('Bob, can you read this?');
    await bob.press('Close');
    await isRefused(bob, 'Lower your hand', refused.hand);
    await bob.openFromMenu('Notes');
    await bob.read(refused.write);
    assert.equal(await bob.evaluate(() => document.querySelector('textarea.notes').readOnly), true);
    await bob.fitsFingers('the notes of who may not write');
    await bob.press('Close');
    await bob.openFromMenu('Whiteboard');
    await bob.read(refused.draw);
    await bob.draw([0.1, 0.1], [0.2, 0.2]);
    await bob.fitsFingers('the whiteboard of who may not draw');
    assert.deepEqual((await bob.together()).strokes, []);
  });

  test('who may write again goes on where he was', { timeout }, async () => {
    await rule(bob, { publishData: true });
    await bob.read('You may write, draw and raise your hand now.');
    await bob.draw([0.1, 0.1], [0.2, 0.2]);
    await bob.until(() => document.querySelectorAll('.strokes path').length === 1, 'the stroke');
    await bob.press('Close the whiteboard');
    await bob.press('Chat');
    const field = await bob.find('Message to everyone', 'textbox');
    assert.equal(await field.evaluate((f) => f.value), 'Half a thou');
    await bob.press('Close');
    await bob.press('Lower your hand');
    await ann.seesHand('Bob', 0);
  });

  test('who may not see and hear the others reads why there are no pictures', { timeout }, async () => {
    await rule(bob, { subscribe: false });
    await bob.read('You may no longer see the others or hear them.');
    await bob.read('You may not see and hear the others now.');
    await bob.seesNothingOf('Ann');
    await bob.fitsFingers('a call without the others');
    await rule(bob, { subscribe: true });
    await bob.readNoMore('You may not see and hear the others now.');
    await bob.sees('Ann', ann.number);
    await bob.hears(ann.frequency);
  });
});
