// What people make together: a whiteboard and notes, by two people with the app and a third one through the SDK. All that anybody does stays, also what
// one does who is cut off meanwhile, and all see the same in the end.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { App } from '../lib/app.mjs';
import { Person } from '../lib/browser.mjs';
import { Call } from '../lib/call.mjs';
import { Far } from '../lib/far.mjs';
import { openAll, resetTCP } from '../lib/firewall.mjs';
import { port } from '../lib/server.mjs';

const timeout = 120_000;
const cutMs = 10_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

describe('a whiteboard and notes', () => {
  let far;
  let call;
  let ann; // at a desk
  let bob; // on a phone, at the other end of a cable
  let cid; // with the SDK
  before(async () => {
    far = new Far();
    call = await Call.start('together', []);
    ann = await App.start(call, 'Ann', 1);
    bob = await App.start(call, 'Bob', 2, { isPhone: true, from: far });
    cid = new Person({ name: 'cid', number: 3, kind: 'chromium', browser: ann.person.browser, page: await ann.person.browser.newPage() });
    await cid.open(call.origin);
    await cid.evaluate(async () => {
      await e2e.enter({ room: 'tea', identity: 'cid', name: 'Cid' });
      e2e.records = await Promise.all(['parley.board', 'parley.notes'].map((name) => e2e.room.state.record(name)));
    });
    await ann.page.bringToFront();
    await ann.enter('/r/tea');
    await bob.enter('/r/tea');
  }, { timeout: 180_000 });
  after(async () => {
    far?.mend();
    await call?.close();
    far?.close();
  });

  /** What the third one has: how many strokes, and the text. */
  const ofCid = () => cid.evaluate(() => {
    const [board, notes] = e2e.records.map((record) => Object.entries(record.get() ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
    return { strokes: board.length, notes: notes.map(([, line]) => line).join('\n') };
  });

  /** Waits until all three have the same, which is what it should be. Gives it. */
  const converged = async (isRight, what) => {
    const end = Date.now() + 20_000;
    for (;;) {
      const [a, b, c] = [await ann.together(), await bob.together(), await ofCid()];
      const isSame = a.strokes.join() === b.strokes.join() && a.notes === b.notes && c.strokes === a.strokes.length && c.notes === a.notes;
      if (isSame && isRight(a)) return a;
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify({ a, b, c }, null, 2)}`);
      await pause(100);
    }
  };

  test('who has not opened the whiteboard is told that another draws, and sees it', { timeout }, async () => {
    await ann.openFromMenu('Whiteboard');
    await ann.read('Nothing is drawn yet');
    await ann.draw([0.1, 0.1], [0.2, 0.15], [0.3, 0.1]);
    await bob.read('Ann has drawn on the whiteboard');
    await bob.press('Look');
    await bob.until(() => document.querySelectorAll('.strokes path').length === 1, 'the stroke');
    await ann.openFromMenu('Notes');
    await bob.openFromMenu('Notes');
    await converged(({ strokes, notes }) => strokes.length === 1 && notes === '', 'one stroke');
  });

  test('what two draw at once both stays', { timeout }, async () => {
    await bob.press('Close'); // the sheet covers the board on a phone
    await bob.press('Red');
    await Promise.all([ann.draw([0.5, 0.1], [0.6, 0.5], [0.7, 0.1]), bob.draw([0.1, 0.5], [0.3, 0.6], [0.2, 0.9])]);
    await ann.until(() => document.querySelectorAll('.strokes path.red').length === 1 && document.querySelectorAll('.strokes path').length === 3, 'three strokes');
    await bob.openFromMenu('Notes');
    await converged(({ strokes }) => strokes.length === 3, 'three strokes');
  });

  test('what two write at once both stays, each in lines of its own', { timeout }, async () => {
    await ann.writeNotes('Agenda\n');
    await converged(({ notes }) => notes === 'Agenda\n', 'the first line');
    await Promise.all([ann.writeNotes('Ann writes the first point\nand the second'), bob.writeNotes('Bob writes another one\nand one more')]);
    const { notes } = await converged(({ notes }) => notes.includes('and the second') && notes.includes('and one more'), 'the lines of both');
    for (const text of ['Agenda', 'Ann writes the first point', 'Bob writes another one']) assert.ok(notes.includes(text), notes);
  });

  test('one who is cut off for 10 s goes on, is told that it waits, and nothing is lost', { timeout }, async (t) => {
    far.cut();
    const cutAt = Date.now();
    try {
      await bob.writeNotes('\nBob was cut off');
      await ann.writeNotes('\nAnn went on');
      await bob.read('Not sent yet: it is kept here until the connection is back.');
      await bob.press('Close');
      await bob.draw([0.6, 0.6], [0.7, 0.9], [0.8, 0.6]);
      await ann.draw([0.4, 0.8], [0.5, 0.9]);
      await ann.until(() => document.querySelectorAll('.strokes path').length === 4, 'the own stroke');
      await bob.until(() => document.querySelectorAll('.strokes path').length === 4, 'the own stroke');
      assert.ok(!(await ann.together()).notes.includes('Bob was cut off'), 'he was not');
      await bob.openFromMenu('Notes');
      await pause(Math.max(0, cutAt + cutMs - Date.now()));
    } finally {
      far.mend();
    }
    const mendedAt = Date.now();
    const { notes } = await converged(({ strokes, notes }) => strokes.length === 5 && notes.includes('Bob was cut off') && notes.includes('Ann went on'), 'all of both');
    t.diagnostic(`all had the same ${Date.now() - mendedAt} ms after the cable was mended`);
    await bob.readNoMore('Not sent yet');
    assert.equal(notes.split('\n').filter((line) => line === 'Agenda').length, 1, 'a line that nobody changed is there once');
  });

  test('undo takes away one’s own stroke, the eraser whoever’s it meets, and wiping all', { timeout }, async () => {
    await bob.press('Close');
    await bob.press('Undo');
    await ann.until(() => document.querySelectorAll('.strokes path').length === 4, 'four strokes');
    await bob.press('Eraser');
    await bob.draw([0.5, 0.3], [0.7, 0.3]); // across Ann's
    await ann.until(() => document.querySelectorAll('.strokes path').length === 3, 'three strokes');
    await ann.press('Wipe the whiteboard');
    await ann.read('What everyone has drawn is gone then, for everyone.');
    await ann.press('Wipe');
    await bob.read('Nothing is drawn yet');
    await bob.openFromMenu('Notes');
    await converged(({ strokes, notes }) => strokes.length === 0 && notes.includes('Agenda'), 'an empty board');
  });

  test('who leaves takes a raised hand along', { timeout }, async () => {
    const hands = (wanted) => cid.evaluate(async (wanted) => {
      e2e.hands ??= await e2e.room.state.list('parley.hands');
      await e2e.until(() => e2e.hands.entries.length === wanted, `${wanted} hands`);
    }, wanted);
    await bob.press('Close');
    await bob.press('Raise your hand');
    await hands(1);
    await bob.press('Leave');
    await hands(0);
  });
});

describe('shared state that a page keeps', () => {
  let call;
  before(async () => {
    call = await Call.start('cache', [['ann', 'chromium', 1], ['bob', 'chromium', 2]]);
  }, { timeout: 180_000 });
  after(() => {
    openAll();
    return call?.close();
  });

  const enter = (person) => person.evaluate(async (name) => {
    await e2e.enter({ room: 'tea', identity: name, cache: true });
    e2e.plan = await e2e.room.state.record('plan');
  }, person.name);

  test('is known before there is a connection, and what was written without one is made after the page was opened again', { timeout }, async () => {
    await enter(call.ann);
    await call.ann.evaluate(() => e2e.plan.set({ title: 'Plan', day: 1 }));
    await enter(call.bob);
    resetTCP(port);
    await call.ann.evaluate(() => e2e.until(() => e2e.room.connectionState === 'reconnecting', 'the loss to be noticed'));
    await call.ann.evaluate(async () => {
      e2e.plan.set('day', 2).catch(() => {});
      await e2e.sleep(500);
    });
    await call.ann.page.goto('about:blank');
    openAll();
    assert.equal(await call.bob.evaluate(async () => {
      await e2e.until(() => e2e.room.connectionState === 'connected', 'the connection');
      return e2e.plan.get('day');
    }), 1, 'it was written before');
    await call.ann.open(call.origin);
    assert.deepEqual(await call.ann.evaluate(async () => {
      const { lastKnown } = await import(`${location.origin}/sdk/parley.js`);
      return lastKnown('tea', 'plan');
    }), { title: 'Plan', day: 1 });
    await enter(call.ann);
    await call.bob.evaluate(() => e2e.until(() => e2e.plan.get('day') === 2, 'what Ann wrote'));
    assert.deepEqual(await call.ann.evaluate(async () => {
      await e2e.until(() => !e2e.plan.isPending, 'the confirmation');
      return e2e.plan.get();
    }), { title: 'Plan', day: 2 });
  });
});
