// Pages on which their user has done nothing yet: browsers play no sound there, unless the page captures.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Person, consent, navigate } from '../lib/browser.mjs';
import { Call } from '../lib/call.mjs';

const timeout = 90_000;
const patience = 30_000;

/** The README's own page, at a server. */
function readmePage(origin) {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  return /<script type="module">\n(.*?)<\/script>/s.exec(readme)[1].replaceAll('https://YOUR-SERVER:8443', origin);
}

/** The same with its parts in another order: it joins before it captures. */
const joinsFirst = (origin) => `
  import { join } from "${origin}/sdk/parley.js"
  const room = await join({ url: "${origin}", room: "tea", name: "Bob" })
  room.addEventListener("playbackblocked", () => { window.wasBlocked = true })
  room.addEventListener("playbackallowed", () => { window.wasAllowed = true })
  room.addEventListener("track", ({ subscription }) => {
    const element = document.createElement(subscription.kind)
    subscription.attach(element)
    document.body.append(element)
  })
  if (!window.onlyWatches) await room.publish(await navigator.mediaDevices.getUserMedia({ audio: true, video: true }))`;

/** Somebody whose browser wants a gesture before it plays. Nothing here goes by evaluate, which counts as one. */
class Stranger {
  static async open(call, script, prelude = '') {
    const person = await Person.start('chromium', 'stranger', 2, undefined, [...consent, '--autoplay-policy=document-user-activation-required']);
    call.people.push(person);
    const stranger = Object.assign(new Stranger(), { call, person, devtools: await person.page.createCDPSession() });
    await person.page.setBypassCSP(true);
    await person.page.evaluateOnNewDocument((script, prelude) => {
      const { mediaDevices } = navigator;
      const capture = mediaDevices.getUserMedia.bind(mediaDevices);
      const think = () => new Promise((done) => setTimeout(done, 3000)); // as long as the question stands on the screen
      mediaDevices.getUserMedia = async (constraints) => think().then(() => capture(constraints));
      addEventListener('DOMContentLoaded', () => {
        for (const [type, text] of [['', prelude], ['module', script]]) {
          document.body.append(Object.assign(document.createElement('script'), { type, textContent: text }));
        }
      });
    }, script, prelude);
    await navigate(person.page, new URL('/sdk/', call.origin).href);
    return stranger;
  }

  async look(expression) {
    const { result } = await this.devtools.send('Runtime.evaluate', { expression, returnByValue: true, userGesture: false });
    return result.value;
  }

  async until(expression, what) {
    const end = Date.now() + patience;
    while (!(await this.look(expression))) {
      const state = await this.look('JSON.stringify([...document.querySelectorAll("audio, video")].map((e) => [e.tagName, e.paused]))');
      assert.ok(Date.now() < end, `${what}; elements: ${state}; ${this.person.log.join('\n')}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /** Waits until a voice and a picture play. */
  plays() {
    return this.until('["audio", "video"].every((kind) => [...document.querySelectorAll(kind)].some((e) => !e.paused && e.currentTime > 0))', 'nothing plays');
  }

  async close() {
    await this.person.close();
    this.call.people = this.call.people.filter((p) => p !== this.person);
  }
}

describe('a page on which nobody has done anything', () => {
  let call;
  before(async () => {
    call = await Call.start('playback', [['ann', 'chromium', 1]]);
    await call.meet('tea');
  }, { timeout: 180_000 });
  after(() => call?.close());

  test('one that joins before it captures plays what was blocked as soon as it publishes', { timeout }, async () => {
    const bob = await Stranger.open(call, joinsFirst(call.origin));
    await bob.until('window.wasBlocked', 'nothing was blocked');
    await bob.plays();
    await bob.until('window.wasAllowed', 'it was not told');
    await bob.close();
  });

  test('one that only watches plays after the next click, wherever that is', { timeout }, async () => {
    const bob = await Stranger.open(call, joinsFirst(call.origin), 'window.onlyWatches = true');
    await bob.until('window.wasBlocked', 'nothing was blocked');
    await bob.person.page.mouse.click(600, 700);
    await bob.plays();
    await bob.close();
  });

  test('the README’s page plays, and shows nobody who has left', { timeout }, async () => {
    const bob = await Stranger.open(call, readmePage(call.origin));
    await bob.plays();
    await call.ann.evaluate(() => e2e.room.leave());
    await bob.until('document.querySelectorAll("audio, video").length === 0', 'who has left is still shown');
    await bob.close();
  });
});
