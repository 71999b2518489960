// Chat of a room in which much was said: what the server does not give to who comes late is read from the room's log.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { App } from '../lib/app.mjs';
import { Person } from '../lib/browser.mjs';
import { Call } from '../lib/call.mjs';
import { Far } from '../lib/far.mjs';

const timeout = 120_000;
/** So many messages are long that the server cannot give 256 of them at once. */
const count = 520;
const isLong = (i) => i > 100 && i <= 300;

describe('chat', () => {
  let far;
  let call;
  let ann; // from the beginning, at the other end of a cable
  let bob; // comes late, on a phone
  let cid; // with the SDK
  let said = [];
  before(async () => {
    far = new Far();
    call = await Call.start('chat', []);
    ann = await App.start(call, 'Ann', 1, { from: far });
    bob = await App.start(call, 'Bob', 2, { isPhone: true });
    cid = new Person({ name: 'cid', number: 3, kind: 'chromium', browser: bob.person.browser, page: await bob.person.newPage() });
    await cid.open(call.origin);
    await cid.evaluate(() => e2e.enter({ room: 'tea', identity: 'cid', name: 'Cid' }));
    await ann.enter('/r/tea');
  }, { timeout: 180_000 });
  after(async () => {
    far?.mend();
    await call?.close();
    far?.close();
  });

  /** Cid says so much that nobody's allowance is used up. */
  const says = async (texts) => {
    await cid.evaluate(async (texts) => {
      for (const text of texts) await Promise.all([e2e.room.sendMessage(text), e2e.sleep(20)]); // 50 a second
    }, texts);
    said = [...said, ...texts];
  };

  /** What the chat of somebody shows, from its beginning. */
  const lines = (app) => app.evaluate(() => [...document.querySelectorAll('.chat-line p')].map((p) => p.textContent));
  const shows = (app, number) => app.until((number) => document.querySelectorAll('.chat-line').length >= number, `${number} messages`, number);

  test('who is there all the time has all that was said', { timeout }, async () => {
    await ann.openChat();
    await says(Array.from({ length: count }, (_, i) => `${i + 1} ${isLong(i) ? 'long '.repeat(750) : 'short'}`));
    await shows(ann, count);
    assert.deepEqual(await lines(ann), said);
    assert.equal(await ann.evaluate(() => document.querySelector('.chat-older')), null);
  });

  test('who comes late is given the last 200 messages, and reads the earlier ones in their order, each once', { timeout }, async (t) => {
    await bob.page.bringToFront();
    await bob.enter('/r/tea');
    await bob.press('Chat, 200 unread');
    await shows(bob, 200);
    assert.deepEqual(await lines(bob), said.slice(-200));
    let presses = 0;
    for (; await bob.evaluate(() => document.querySelector('.chat-older') !== null); presses++) {
      const had = (await lines(bob)).length;
      await bob.press('Earlier messages');
      await bob.until((had) => document.querySelectorAll('.chat-line').length > had || !document.querySelector('.chat-older'), 'earlier messages', had);
      assert.deepEqual(await lines(bob), said.slice(-(await lines(bob)).length), 'what is shown is the end of what was said');
      assert.ok(presses < 10, 'it does not end');
    }
    assert.deepEqual(await lines(bob), said);
    t.diagnostic(`after ${presses} times “Earlier messages”`);
  });

  test('what was read stays in place when earlier messages come above it', { timeout }, async () => {
    const tab = await bob.another('Dan', { isPhone: true });
    await tab.enter('/r/tea');
    await tab.press('Chat, 200 unread');
    await tab.write('Message to everyone', 'I am late');
    await tab.press('Send');
    said = [...said, 'I am late'];
    await shows(tab, 201);
    await tab.evaluate(() => document.querySelector('.chat-lines').scrollTo(0, 0));
    const top = () => tab.evaluate((text) => [...document.querySelectorAll('.chat-line p')].find((p) => p.textContent === text).getBoundingClientRect().top, said[count - 200]);
    const before = await top();
    await tab.press('Earlier messages');
    await shows(tab, 202);
    assert.ok(Math.abs((await top()) - before) < 2, `it moved from ${before} to ${await top()}`);
    await tab.page.close();
    await bob.page.bringToFront();
  });

  test('a page reads the room’s log from its beginning, in parts', { timeout }, async () => {
    const { read, types, parts } = await cid.evaluate(async () => {
      const entries = [];
      let after = 0;
      let parts = 0;
      for (let last = 1; after < last; parts++) {
        const log = await e2e.room.readLog(after, 200);
        entries.push(...log.entries);
        ({ after, last } = log);
      }
      return { read: entries.filter((e) => e.type === 'chat').map((e) => e.body.text), types: [...new Set(entries.map((e) => e.type))], parts };
    });
    assert.deepEqual(read, said);
    assert.ok(types.includes('participant-joined') && types.includes('participant-left'), types.join());
    assert.ok(parts > said.length / 200, `${parts} parts`);
  });

  test('after a reconnection no message is there twice, and none is missing', { timeout }, async () => {
    far.cut();
    try {
      await says(['while Ann was cut off', ...Array.from({ length: 30 }, (_, i) => `more ${i}`)]);
      await ann.read('The connection was lost');
    } finally {
      far.mend();
    }
    await shows(ann, said.length);
    await shows(bob, said.length);
    await says(['afterwards']);
    for (const app of [ann, bob]) {
      await app.read('afterwards');
      assert.deepEqual(await lines(app), said);
    }
  });
});
