// What people make together: a whiteboard and notes, by two people with the app, a third one through the SDK, and a program through the Go package. All
// that anybody does stays, also what one does who is cut off meanwhile, and all have the same in the end.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { App } from '../lib/app.mjs';
import { Person } from '../lib/browser.mjs';
import { Call } from '../lib/call.mjs';
import { compiled } from '../lib/compiled.mjs';
import { Far } from '../lib/far.mjs';
import { openAll, resetTCP } from '../lib/firewall.mjs';
import { Gopher } from '../lib/gopher.mjs';
import { port } from '../lib/server.mjs';

const timeout = 120_000;
const cutMs = 10_000;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const [boardName, notesName] = ['parley.board', 'parley.notes'];

const pure = compiled('src/pure/strokes.ts', 'src/pure/lines.ts');
const { pathOf, pieceKey, strokeName, strokesOf } = await import(path.join(pure, 'strokes.js'));
const { between, linesOf, textOf } = await import(path.join(pure, 'lines.js'));

describe('a whiteboard and notes', () => {
  let far;
  let call;
  let ann; // at a desk
  let bob; // on a phone, at the other end of a cable
  let cid; // with the SDK
  let gopher; // a program in Go
  before(async () => {
    far = new Far();
    call = await Call.start('together', []);
    ann = await App.start(call, 'Ann', 1);
    bob = await App.start(call, 'Bob', 2, { isPhone: true, from: far });
    cid = new Person({ name: 'cid', number: 3, kind: 'chromium', browser: ann.person.browser, page: await ann.person.newPage() });
    await cid.open(call.origin);
    await cid.evaluate(async (names) => {
      await e2e.enter({ room: 'tea', identity: 'cid', name: 'Cid' });
      e2e.records = await Promise.all(names.map((name) => e2e.room.state.record(name)));
    }, [boardName, notesName]);
    gopher = await Gopher.start(call.origin, { room: 'tea', identity: 'gopher', name: 'Gopher' }, [boardName, notesName]);
    await ann.page.bringToFront();
    await ann.enter('/r/tea');
    await bob.enter('/r/tea');
  }, { timeout: 180_000 });
  after(async () => {
    far?.mend();
    await gopher?.close();
    await call?.close();
    far?.close();
  });

  /** What the third one has. */
  const ofCid = () => cid.evaluate(() => e2e.records.map((record) => record.get() ?? {}));

  /** What the app shows of two documents: every stroke, and the text. */
  const shown = ([board, notes]) => ({ strokes: strokesOf(board).map(({ colour, points }) => `${colour} ${pathOf(points)}`), notes: textOf(linesOf(notes)) });

  /** Waits until all four have the same, which is what it should be. Gives it. */
  const converged = async (isRight, what) => {
    const end = Date.now() + 20_000;
    for (;;) {
      const [a, b, c] = [await ann.together(), await bob.together(), await ofCid()];
      const g = [boardName, notesName].map((name) => gopher.documents[name] ?? {});
      if (isDeepStrictEqual(c, g) && isDeepStrictEqual(a, shown(c)) && isDeepStrictEqual(b, a) && isRight(a)) return a;
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify({ a, b, c, g }, null, 2)}`);
      await pause(100);
    }
  };

  /** The program draws a line, in parts of the board. */
  const gopherDraws = (colour, ...points) => gopher.write(boardName, {
    [pieceKey(strokeName(Date.now(), Math.random()), 0)]: { by: 'gopher', colour, points: points.flatMap(([x, y]) => [Math.round(4000 * x), Math.round(3000 * y)]) },
  });

  /** It writes a line below the others. */
  const gopherWrites = (text) => {
    const last = linesOf(gopher.documents[notesName]).at(-1)?.key.split('-')[0] ?? '';
    return gopher.write(notesName, { [`${between(last, '')}-goph`]: text });
  };

  test('who has not opened the whiteboard is told that another draws, and sees it', { timeout }, async () => {
    await ann.openFromMenu('Whiteboard');
    await ann.read('Nothing is drawn yet');
    await ann.draw([0.1, 0.1], [0.2, 0.15], [0.3, 0.1]);
    await bob.read('Ann has drawn on the whiteboard');
    await bob.press('Look');
    await bob.until(() => document.querySelectorAll('.strokes path').length === 1, 'the stroke');
    await bob.fitsFingers('the whiteboard');
    await ann.openFromMenu('Notes');
    await bob.openFromMenu('Notes');
    await bob.fitsFingers('the notes');
    await converged(({ strokes, notes }) => strokes.length === 1 && notes === '', 'one stroke');
  });

  test('what is closed gives the focus back, also where a message opened it', { timeout }, async () => {
    await ann.page.keyboard.press('Escape'); // the notes, opened from the menu
    await ann.hasFocus('More');
    await ann.page.keyboard.press('Escape'); // and the whiteboard
    await ann.hasFocus('More');
    await ann.openFromMenu('Whiteboard');
    await ann.openFromMenu('Notes');
    await bob.press('Close');
    await bob.hasFocus('More');
    await bob.press('Close the whiteboard'); // opened by the message
    await bob.hasFocus('More');
    await bob.openFromMenu('Whiteboard');
    await bob.openFromMenu('Notes');
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

  test('undo takes back one’s own last change of the notes, whoever has written since, and redo makes it again', { timeout }, async () => {
    const { notes } = await ann.together();
    await ann.writeNotes('');
    await ann.page.keyboard.sendCharacter('\nAnn will think better of this'); // at once, as when pasted
    await converged((now) => now.notes === `${notes}\nAnn will think better of this`, 'what Ann wrote');
    await bob.writeNotes('\nBob stands by this');
    const both = `${notes}\nAnn will think better of this\nBob stands by this`;
    await converged((now) => now.notes === both, 'what both wrote');
    await ann.chord('z', 'Control');
    await converged((now) => now.notes === `${notes}\nBob stands by this`, 'what Bob wrote');
    assert.equal(await ann.evaluate(() => document.querySelector('textarea.notes').value.slice(0, document.querySelector('textarea.notes').selectionStart)), `${notes}\n`, 'the caret');
    await ann.chord('Z', 'Control', 'Shift');
    await converged((now) => now.notes === both, 'what both wrote');
    await ann.chord('z', 'Control');
    await converged((now) => now.notes === `${notes}\nBob stands by this`, 'what Bob wrote');
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
    await ann.hasFocus('Wipe the whiteboard');
    await bob.read('Nothing is drawn yet');
    await bob.openFromMenu('Notes');
    await converged(({ strokes, notes }) => strokes.length === 0 && notes.includes('Agenda'), 'an empty board');
  });

  test('who loads the page anew is the same, and can take back what was drawn before; a duplicated tab is somebody else', { timeout }, async () => {
    const told = (app) => app.evaluate(() => Object.entries(sessionStorage).find(([key]) => key === 'parley.identity.tea')?.[1]);
    const before = await told(ann);
    await ann.draw([0.1, 0.3], [0.2, 0.35], [0.3, 0.3]);
    await cid.evaluate(() => e2e.until(() => Object.keys(e2e.records[0].get() ?? {}).length > 0, 'what Ann drew'));
    await ann.page.reload();
    await ann.join();
    assert.equal(await told(ann), before);
    await ann.openFromMenu('Whiteboard');
    await ann.press('Undo');
    await cid.evaluate(() => e2e.until(() => Object.keys(e2e.records[0].get() ?? {}).length === 0, 'an empty board'));
    const opened = new Promise((done) => ann.page.once('popup', done));
    await ann.evaluate(() => void window.open(location.href)); // it has a copy of what the tab remembers, as one that was duplicated
    const copy = new App(ann.origin, ann.person, await opened);
    await copy.page.setBypassCSP(true);
    await copy.page.reload();
    assert.equal(await told(copy), before);
    await copy.page.waitForSelector('.preview video');
    await copy.press('Join');
    await copy.page.waitForSelector('.room');
    assert.notEqual(await told(copy), before);
    await copy.page.close();
    await ann.page.bringToFront();
    assert.equal(await ann.evaluate(() => document.querySelector('.room') !== null), true, 'thrown out by the copy');
    await ann.openFromMenu('Notes');
  });

  test('a program draws and writes with them, and has what they do', { timeout }, async () => {
    await bob.press('Close');
    await bob.press('Pen');
    await Promise.all([
      gopherDraws('green', [0.8, 0.1], [0.9, 0.2], [0.8, 0.3]), gopherWrites('The program writes a line'),
      ann.draw([0.85, 0.4], [0.95, 0.5]), bob.draw([0.1, 0.1], [0.2, 0.2]),
    ]);
    await bob.openFromMenu('Notes');
    const all = await converged((now) => now.strokes.length === 3 && now.notes.includes('The program writes a line'), 'the strokes of all three');
    assert.deepEqual(all.strokes.filter((stroke) => stroke.startsWith('green')), [`green ${pathOf([3200, 300, 3600, 600, 3200, 900])}`]);
    assert.ok(all.notes.includes('Agenda'), all.notes);
  });

  test('a program that is cut off for 10 s goes on writing, and nothing is lost', { timeout }, async (t) => {
    const [before, cutAt] = [await ann.together(), Date.now()];
    gopher.cut(cutMs / 1000);
    await gopher.until(() => gopher.connections.length > 0, 'the loss of its connection');
    const writes = [gopherDraws('orange', [0.1, 0.7], [0.2, 0.7], [0.3, 0.9]), gopherWrites('The program was cut off')];
    await ann.draw([0.4, 0.8], [0.5, 0.9]);
    await ann.writeNotes('\nAnn did not notice');
    const notesOfGopher = () => textOf(linesOf(gopher.documents[notesName]));
    await gopher.until(() => notesOfGopher().includes('The program was cut off'), 'its own line at once');
    await pause(Math.max(0, cutAt + 0.9 * cutMs - Date.now()));
    const { strokes, notes } = await ann.together();
    assert.ok(!notes.includes('The program was cut off'), 'what the program wrote was sent');
    assert.equal(strokes.length, before.strokes.length + 1, 'what the program drew was sent');
    assert.ok(!notesOfGopher().includes('Ann did not notice'), 'it had a connection');
    await Promise.all(writes);
    const writtenAt = Date.now();
    await converged((now) => now.strokes.length === before.strokes.length + 2 && now.notes.includes('The program was cut off') && now.notes.includes('Ann did not notice'), 'all of both');
    assert.deepEqual(gopher.connections, ['resuming', 'connected']);
    t.diagnostic(`written ${writtenAt - cutAt} ms after the cut; all had the same ${Date.now() - writtenAt} ms later`);
  });

  test('what is no drawing and no notes gives way to what is drawn, written or wiped', { timeout }, async () => {
    const spoil = (which) => cid.evaluate((which) => e2e.records[which].set(['left by another program']), which);
    await spoil(0);
    await ann.read('Nothing is drawn yet');
    await ann.press('Wipe the whiteboard');
    await ann.press('Wipe');
    await cid.evaluate(() => e2e.until(() => !Array.isArray(e2e.records[0].get()), 'an empty board'));
    await spoil(0);
    await spoil(1);
    await ann.until(() => document.querySelector('textarea.notes').value === '', 'no notes');
    await ann.draw([0.4, 0.8], [0.5, 0.9]);
    await ann.writeNotes('Begun anew');
    await converged(({ strokes, notes }) => strokes.length === 1 && notes === 'Begun anew', 'what Ann has done');
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
      return [await lastKnown('tea', 'plan', { identity: 'ann' }), await lastKnown('tea', 'plan', { identity: 'eve' })];
    }), [{ title: 'Plan', day: 1 }, null]); // JSON has no undefined
    await enter(call.ann);
    await call.bob.evaluate(() => e2e.until(() => e2e.plan.get('day') === 2, 'what Ann wrote'));
    assert.deepEqual(await call.ann.evaluate(async () => {
      await e2e.until(() => !e2e.plan.isPending, 'the confirmation');
      return e2e.plan.get();
    }), { title: 'Plan', day: 2 });
  });
});
