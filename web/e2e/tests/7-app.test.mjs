// The app in two browsers, one at a desk and one on a phone: everything that people do from the lobby to the end of a call.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { App, foreignName } from '../lib/app.mjs';
import { Call } from '../lib/call.mjs';
import { dropMedia, openAll } from '../lib/firewall.mjs';
import { address } from '../lib/namespace.mjs';
import { Server, port } from '../lib/server.mjs';

const timeout = 120_000;

/** Somebody who is seen leaves a page, by leave(), and is gone in less than two seconds. Gives in how many milliseconds. */
async function goneAtOnce(viewer, name, leave) {
  const goneAt = viewer.evaluate(async (name) => {
    await e2e.until(() => !e2e.tile(name), `${name} to be gone`, 20_000);
    return Date.now();
  }, name);
  const leftAt = Date.now();
  await leave();
  const ms = (await goneAt) - leftAt;
  assert.ok(ms < 2000, `${name} was seen for ${ms} ms`);
  return ms;
}

/** In the page: the microphone hears something. */
const meterMoves = () => Number(document.querySelector('.meter-bar')?.style.getPropertyValue('--level')) > 0.2;

describe('the app', () => {
  let call;
  let ann;
  let bob;
  before(async () => {
    call = await Call.start('app', []);
    ann = await App.start(call, 'Ann', 1);
    bob = await App.start(call, 'Bob', 2, { isPhone: true });
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('before joining one sees and hears oneself, and chooses devices that are remembered', { timeout }, async () => {
    await ann.open('/r/tea');
    await ann.seesPreview();
    await ann.until(meterMoves, 'the meter to move');
    const microphone = await ann.find('Microphone', 'combobox');
    const choices = await microphone.evaluate((select) => [...select.options].map((o) => [o.value, o.label]));
    assert.ok(choices.length > 1, `microphones: ${choices}`);
    const [another] = choices.find(([, label]) => label === 'Fake Audio Input 2');
    await microphone.select(another);
    await ann.until((id) => document.querySelector('select').value === id, 'the other microphone', another);
    await ann.until(meterMoves, 'the meter to move');
    await ann.open('/r/tea');
    await ann.seesPreview();
    await ann.until((id) => document.querySelector('select')?.value === id, 'the chosen microphone to be remembered', another);
  });

  test('a remembered microphone that is not there any more is replaced by another one', { timeout }, async () => {
    await ann.evaluate(() => localStorage.setItem('parley.microphone', 'unplugged'));
    await ann.open('/r/tea');
    await ann.seesPreview();
    await ann.until(() => document.querySelector('select')?.value === 'default', 'another microphone');
    await ann.until(meterMoves, 'the meter to move');
  });

  test('nobody joins without a name; the first one is told to send the link, and can copy it', { timeout }, async () => {
    await ann.press('Join');
    await ann.read('Type the name that others will see.');
    await ann.join();
    await ann.read('You are the first here.');
    await ann.press('Copy the link');
    await ann.read('Link copied');
    assert.equal(await ann.clipboard(), `https://${address}:${port}/r/tea`, 'a link for others, though the page came from localhost');
    await ann.read(`https://${address}:${port}/r/tea`);
  });

  test('who opens the link on a phone is seen and heard, and sees and hears', { timeout }, async (t) => {
    await Promise.all([ann.read('Bob joined'), bob.enter('/r/tea')]); // it stands there for some seconds only
    await ann.readNoMore('You are the first here.');
    t.diagnostic(`Ann decoded ${await ann.sees('Bob', bob.number)} frames of Bob, Bob ${await bob.sees('Ann', ann.number)} of Ann`);
    await ann.hears(bob.frequency);
    await bob.hears(ann.frequency);
  });

  test('a muted microphone is silent, and marked for others', { timeout }, async () => {
    await ann.press('Mute');
    await bob.seesMuted('Ann', true);
    await bob.hearsNothing();
    await ann.press('Unmute');
    await bob.seesMuted('Ann', false);
    await bob.hears(ann.frequency);
    await bob.press('Mute');
    await ann.seesMuted('Bob', true);
    await bob.press('Unmute');
    await ann.seesMuted('Bob', false);
  });

  test('a camera that is stopped is seen no more, and again when it is started', { timeout }, async () => {
    await bob.press('Stop camera');
    await ann.seesNothingOf('Bob');
    await bob.press('Start camera');
    await ann.sees('Bob', bob.number);
  });

  test('the list of people tells who is here, heard and seen', { timeout }, async () => {
    const listed = (row) => bob.until((row) => [...document.querySelectorAll('.people li')].some((li) => li.textContent === row), row, row);
    await bob.press('People, 2 here');
    await listed('BBobyoumicrophone oncamera on');
    await listed('AAnnmicrophone oncamera on');
    await ann.press('Mute');
    await ann.press('Stop camera');
    await listed('AAnnmutedcamera off');
    await ann.press('Unmute');
    await ann.press('Start camera');
    await bob.fitsFingers('the list of people');
    await bob.press('Close');
    await bob.hasFocus('People, 2 here');
    await bob.sees('Ann', ann.number);
  });

  test('the statistics tell by which identity others watch one', { timeout }, async () => {
    await ann.press('More');
    await ann.press('Statistics', 'menuitem');
    await ann.read('Identities');
    const told = await ann.evaluate(() => [...document.querySelectorAll('.figures dl:last-of-type > div')].map((row) => row.innerText.replace(/\s+/g, ' ')));
    assert.equal(told.length, 2);
    assert.match(told[0], /^Ann guest-/);
    assert.match(told[1], /^Bob guest-/);
    await ann.press('Close');
    await ann.hasFocus('More');
  });

  test('what is written in the chat is counted until it is read', { timeout }, async () => {
    await bob.press('Chat');
    await bob.write('Message to everyone', 'The plan: https://example.org/plan.');
    await bob.press('Send');
    await ann.press('Chat, 1 unread');
    await ann.read('The plan:');
    assert.equal(await ann.evaluate(() => document.querySelector('.chat-line a').href), 'https://example.org/plan');
    await ann.write('Message to everyone', 'Thank you, Bob');
    await ann.page.keyboard.press('Enter');
    await bob.read('Thank you, Bob');
    await bob.evaluate(() => {
      const field = document.querySelector('.composer textarea');
      field.value = 'é'.repeat(2049);
      field.dispatchEvent(new Event('input', { bubbles: true }));
    });
    for (let i = 0; i < 2; i++) {
      await bob.press('Send');
      await bob.read('It has 4098 bytes, and 4096 can be sent at once: send it in parts.');
    }
    assert.equal(await bob.evaluate(() => [...document.querySelectorAll('.toast')].filter((t) => t.innerText.includes('too long')).length), 1);
    await bob.write('Message to everyone', 'x');
    await bob.page.keyboard.press('Backspace');
    await bob.fitsFingers('the chat');
    await bob.press('Close');
    await bob.press('More');
    await bob.press('Copy the link', 'menuitem');
    await ann.press('Raise your hand');
    await bob.read('Ann raised a hand');
    await ann.press('Lower your hand');
    await bob.press('Chat');
    await bob.fitsFingers('the chat, and messages');
    await bob.press('Close');
    await bob.press('More');
    await bob.fitsFingers('the menu, and messages');
    await bob.page.keyboard.press('Escape');
    await ann.press('Close');
    await ann.hasFocus('Chat');
  });

  test('raised hands are seen in the order in which they were raised, until they are lowered', { timeout }, async () => {
    await ann.press('Raise your hand');
    await bob.read('Ann raised a hand');
    await bob.seesHand('Ann', 1);
    await bob.press('Raise your hand');
    await ann.seesHand('Bob', 2);
    await ann.press('People, 2 here');
    await ann.until(() => [...document.querySelectorAll('.people li')].map((li) => li.textContent).join('; ').match(/Ann.*hand raised, number 1.*; .*Bob.*hand raised, number 2/), 'both hands in the list');
    await ann.press('Lower the hand of Bob');
    await bob.find('Raise your hand');
    await bob.seesHand('You', 0);
    await ann.until(() => document.activeElement.matches('.panel'), 'the focus around the button that is gone');
    await bob.press('Raise your hand');
    await bob.fitsFingers('a call with raised hands');
    await bob.press('More');
    await bob.fitsFingers('the menu');
    await bob.page.keyboard.press('Escape');
    await bob.hasFocus('More');
    await ann.press('Close');
    await ann.press('Lower your hand');
    await bob.seesHand('You', 1);
    await bob.seesHand('Ann', 0);
  });

  test('a shared tab is seen by the other, beside the camera, until it ends', { timeout }, async () => {
    await ann.share(12);
    await bob.sees('Ann’s screen', 12);
    await bob.sees('Ann', ann.number);
    await bob.press('More');
    await bob.press('Copy the link', 'menuitem');
    await bob.read('Link copied');
    const overlap = await bob.evaluate(() => {
      const [toast, screen] = ['.toast', '.tile.share'].map((s) => document.querySelector(s).getBoundingClientRect());
      return toast.top < screen.bottom && screen.top < toast.bottom && toast.left < screen.right && screen.left < toast.right;
    });
    assert.equal(overlap, false, 'a message over what is shared');
    await ann.press('Stop sharing');
    await bob.seesNoTile('Ann’s screen');
    await bob.sees('Ann', ann.number);
  });

  test('who leaves is gone at once, and reads what was written meanwhile when coming back', { timeout }, async () => {
    await bob.press('Leave');
    await bob.read('You left the call');
    await ann.read('Bob left');
    await ann.seesNoTile('Bob');
    await ann.evaluate(() => e2e.until(() => !document.querySelector('.tile-mark.raised'), 'no hand'));
    await ann.press('Chat');
    await ann.write('Message to everyone', 'Bob, you forgot your umbrella');
    await ann.press('Send');
    await ann.press('Close');
    await bob.press('Rejoin');
    await bob.join();
    await bob.sees('Ann', ann.number);
    await bob.seesHand('You', 0);
    await bob.press('Chat, 2 unread'); // his own are none
    await bob.read('The plan:');
    await bob.read('Bob, you forgot your umbrella');
    await bob.press('Close');
    await ann.sees('Bob', bob.number);
    await bob.press('Leave');
    await bob.read('The others go on talking in tea.');
  });

  test('who was alone is not told of others', { timeout }, async () => {
    await bob.open('/r/cake');
    await bob.seesPreview();
    await bob.fitsFingers('the lobby');
    await bob.join();
    await bob.fitsFingers('a room with nobody else');
    await bob.refuse('camera');
    await bob.press('Try the camera again'); // it has ended
    await bob.read('This page may not use the camera');
    await bob.press('Chat');
    await bob.evaluate(() => {
      const field = document.querySelector('.composer textarea');
      field.value = 'x'.repeat(4097);
      field.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await bob.press('Send');
    await bob.read('send it in parts');
    await bob.press('Close');
    await bob.fitsFingers('a room with nobody else, and long messages');
    assert.equal(await bob.evaluate(() => document.querySelectorAll('.toast').length), 2);
    await bob.permit('camera');
    await bob.press('Leave');
    await bob.read('Nobody is in cake any more.');
  });

  test('an address with a slash at its end is the room; a name that is too long is told before joining', { timeout }, async () => {
    await bob.open('/r/tea/');
    await bob.read('You are about to join');
    assert.equal(new URL(bob.page.url()).pathname, '/r/tea');
    await bob.open(`/r/${'x'.repeat(300)}`);
    await bob.read('The name of this room is too long');
  });

  for (const [how, goes] of [
    ['goes to another page', (page) => page.goto('about:blank')],
    ['goes back', (page) => page.goBack()],
    ['closes the tab', (page) => page.close()],
  ]) {
    test(`who ${how} is gone at once`, { timeout }, async (t) => {
      const tab = await bob.another('Cid', { isPhone: true });
      await tab.page.goto(`${call.origin}/healthz`);
      await tab.enter('/r/tea');
      await ann.sees('Cid', bob.number);
      t.diagnostic(`${await goneAtOnce(ann, 'Cid', () => goes(tab.page))} ms`);
      if (!tab.page.isClosed()) await tab.page.close();
    });
  }

  test('a page that the browser keeps for “back” has left, and starts anew when it is shown again', { timeout }, async () => {
    const tab = await bob.another('Cid', { isPhone: true });
    await tab.enter('/r/tea');
    await ann.sees('Cid', bob.number);
    // Browsers keep no page that has calls; some will.
    const tell = (type) => tab.evaluate((type) => dispatchEvent(new PageTransitionEvent(type, { persisted: true })), type);
    await goneAtOnce(ann, 'Cid', () => tell('pagehide'));
    await tell('pageshow');
    await tab.seesPreview();
    await tab.join();
    await ann.sees('Cid', bob.number);
    await goneAtOnce(ann, 'Cid', () => tab.page.close());
  });

  test('who leaves the page with Firefox is gone at once', { timeout }, async (t) => {
    const eve = await call.person('eve', 'firefox', 3);
    await eve.evaluate(() => e2e.enter({ room: 'tea', name: 'Eve' }));
    await ann.seesTile('Eve');
    t.diagnostic(`${await goneAtOnce(ann, 'Eve', () => eve.page.goto(`${call.origin}/sdk/`))} ms`);
    call.people = call.people.filter((person) => person !== eve);
    await eve.close();
  });

  test('who comes back to the page of a call can join again', { timeout }, async () => {
    const tab = await bob.another('Cid', { isPhone: true });
    await tab.enter('/r/tea');
    await ann.sees('Cid', bob.number);
    await tab.page.goto('about:blank');
    await ann.seesNoTile('Cid');
    await tab.page.goBack();
    await tab.seesPreview();
    await tab.join();
    await tab.sees('Ann', ann.number);
    await ann.sees('Cid', bob.number);
    await tab.page.close();
    await ann.seesNoTile('Cid');
  });

  test('a refused camera and microphone have a cause and a next step, after which it works', { timeout }, async () => {
    await bob.refuse('camera', 'microphone');
    await bob.open('/r/tea');
    await bob.read('This page may not use the camera and microphone');
    await bob.read('Click the symbol left of the address, allow the camera and microphone, then try again.');
    await bob.permit('microphone');
    await bob.press('Try again');
    await bob.read('This page may not use the camera');
    await bob.permit('camera');
    await bob.press('Try again');
    await bob.seesPreview();
    await bob.readNoMore('This page may not use');
  });

  test('without camera and microphone one joins all the same, and sees the others', { timeout }, async () => {
    await bob.refuse('camera', 'microphone');
    await bob.open('/r/tea');
    await bob.read('This page may not use the camera and microphone');
    await bob.join();
    await bob.sees('Ann', ann.number);
    await ann.seesMuted('Bob', true);
    await ann.seesNothingOf('Bob');
  });

  test('who switches on in the call what may not be used is told why, once, and can try again there', { timeout }, async () => {
    for (let i = 0; i < 2; i++) {
      await bob.press('Try the microphone again');
      await bob.read('This page may not use the microphone');
      await bob.until(() => !document.querySelector('[aria-busy=true]'), 'the try to end');
    }
    await bob.read('Click the symbol left of the address, allow the microphone, then try again.');
    assert.equal(await bob.evaluate(() => [...document.querySelectorAll('.toast')].filter((t) => t.innerText.includes('the microphone')).length), 1);
    await bob.permit('microphone');
    await bob.press('Try again');
    await ann.seesMuted('Bob', false);
    await bob.readNoMore('This page may not use the microphone');
  });
});

describe('the app under a name that is not the server’s', () => {
  let call;
  let ann;
  before(async () => {
    call = await Call.start('app-origin', []);
    ann = await App.start(call, 'Ann', 1);
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('it tells that the address is refused, with the next step; so does the log, once', { timeout }, async () => {
    await ann.open(`https://${foreignName}:${port}/r/tea`);
    await ann.write('Your name', 'Ann');
    for (let i = 0; i < 2; i++) {
      await ann.press('Join');
      await ann.read('This address may not be used for calls');
      await ann.read('--origins');
    }
    const log = () => readFileSync(call.server.logFile, 'utf8').match(/level=WARN.*--origins https:\/\/parley\.example/g)?.length;
    assert.equal(log(), 1);
  });
});

describe('the app without a way for media', () => {
  let call;
  let ann;
  before(async () => {
    dropMedia(address, port);
    call = await Call.start('app-blocked', []);
    ann = await App.start(call, 'Ann', 1);
  }, { timeout: 180_000 });
  after(async () => {
    openAll();
    await call?.close();
  });

  test('it tells which port may be blocked, and connects as soon as it is open', { timeout }, async () => {
    await ann.open('/r/tea');
    await ann.write('Your name', 'Ann');
    await ann.press('Join');
    await ann.read('Connecting…');
    await ann.read('Sound and pictures do not get through');
    await ann.read(`A firewall or a VPN may block UDP and TCP port ${port}`);
    openAll();
    await ann.readNoMore('Sound and pictures do not get through');
    await ann.connected();
  });
});

describe('the app with invitations', () => {
  let call;
  let ann;
  before(async () => {
    call = await Call.start('app-token', [], '--auth', 'token', '--no-state');
    ann = await App.start(call, 'Ann', 1);
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('nobody joins without an invitation, and whoever has one does', { timeout }, async () => {
    await ann.open('/r/tea');
    await ann.write('Your name', 'Ann');
    await ann.press('Join');
    await ann.read('This room needs an invitation');
    await ann.open(`/r/tea?1#token=${call.server.token('--room', 'tea').slice(0, -3)}`);
    await ann.press('Join');
    await ann.read('This server does not know your invitation');
    assert.match(readFileSync(call.server.logFile, 'utf8'), /level=WARN.*refused: the token's signature is wrong/);
    await ann.enter(`/r/tea?2#token=${call.server.token('--room', 'tea')}`);
    await ann.seesTile('Ann (you)');
    assert.equal(await ann.evaluate(() => location.hash), '', 'the token is in the address bar');
  });

  test('where the server keeps no state there are no hands, no whiteboard and no notes', { timeout }, async () => {
    await ann.press('More');
    await ann.find('Devices', 'menuitem');
    assert.deepEqual(await ann.evaluate(() => [...document.querySelectorAll('[role=menuitem], .bar-button')].map((b) => b.innerText || b.ariaLabel).filter((label) => /hand|whiteboard|notes/i.test(label))), []);
    await ann.page.keyboard.press('Escape');
    await ann.hasFocus('More');
  });

  test('who invites others is told what they need, and copies nothing of the own invitation', { timeout }, async () => {
    await ann.read('Each guest needs an invitation of their own.');
    await ann.press('Invite others');
    await ann.read('Whoever runs this server makes one for each guest:');
    await ann.page.setViewport({ width: 360, height: 740 });
    assert.ok(await ann.evaluate(() => [...document.querySelectorAll('.dialog *')].every((e) => e.getBoundingClientRect().right <= innerWidth)), 'it is wider than a phone');
    await ann.page.setViewport({ width: 1280, height: 800 });
    await ann.press('Copy the command');
    await ann.read('Command copied');
    assert.equal(await ann.clipboard(), 'parley token --room tea --name NAME');
    await ann.press('More');
    await ann.press('Invite others', 'menuitem');
    await ann.press('Copy the link');
    await ann.read('Link copied: the invitation goes behind it');
    await ann.hasFocus('More');
    assert.equal(await ann.clipboard(), `https://${address}:${port}/r/tea#token=`);
    await ann.press('Leave');
  });

  test('a name that the invitation gives is shown, and cannot be changed', { timeout }, async () => {
    const zoe = await ann.another('Zoë');
    await zoe.open(`/r/tea?3#token=${call.server.token('--room', 'tea', '--name', 'Zoë')}`);
    await zoe.read('Your invitation gives you this name.');
    const field = await zoe.find('Your name', 'textbox');
    assert.deepEqual(await field.evaluate(({ value, disabled }) => ({ value, disabled })), { value: 'Zoë', disabled: true });
    await zoe.press('Join');
    await zoe.connected();
    await zoe.seesTile('Zoë (you)');
    await zoe.page.close();
  });

  test('who may only watch is told so before joining, is not asked for a camera, and does not see a picture that nobody else sees', { timeout }, async () => {
    const dan = await ann.another('Dan');
    await dan.open(`/r/tea?4#token=${call.server.token('--room', 'tea', '--name', 'Dan', '--no-publish')}`);
    await dan.read('With this invitation you watch and listen: nobody sees or hears you.');
    await dan.press('Join');
    await dan.connected();
    await dan.seesTile('Dan (you)');
    assert.equal(await dan.evaluate(() => document.querySelector('.tile video')), null);
    await dan.openFromMenu('Devices');
    await dan.read('no camera or microphone is used');
    await dan.page.close();
  });

  test('an invitation to another room says which one it opens', { timeout }, async () => {
    await ann.page.bringToFront();
    await ann.open(`/r/coffee#token=${call.server.token('--room', 'tea')}`);
    await ann.read('Your invitation is for another room');
    await ann.read('It opens “tea”, and this is “coffee”.');
  });
});

describe('the app and a server that restarts', () => {
  let call;
  let ann;
  before(async () => {
    call = await Call.start('app-restart', []);
    ann = await App.start(call, 'Ann', 1);
    await ann.enter('/r/tea');
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('who wants to join then is told, and who is in the room comes back by itself', { timeout }, async () => {
    call.server.terminate();
    await ann.read('The server restarts within 30 s. You come back by yourself.');
    const bob = await ann.another('Bob');
    await bob.open('/r/tea');
    await bob.write('Your name', 'Bob');
    await bob.press('Join');
    await bob.read('The server is restarting');
    await bob.page.close();
    await ann.page.bringToFront();
    call.server.terminate();
    await ann.read('The server is restarting');
    await ann.read('Trying again for');
    await call.server.ended;
    call.server = await Server.start('app-restart-2');
    await ann.connected();
    await ann.readNoMore('The server restarts');
  });

  test('of a server that is gone without a word is told that the connection was lost, and for how long it is tried again', { timeout }, async () => {
    call.server.child.kill('SIGKILL');
    await ann.read('The connection was lost');
    await ann.until(() => /Trying again for [2-9] s/.test(document.body.innerText), 'for how long');
    await ann.read('The server does not answer: it may be down, or your network.');
    assert.equal(await ann.evaluate(() => document.body.innerText.includes('restart')), false);
    await call.server.ended;
    call.server = await Server.start('app-restart-3');
    await ann.connected();
    await ann.readNoMore('The connection was lost');
  });
});
