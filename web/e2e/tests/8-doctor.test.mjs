// The page that tells visitors whether calls will work from their browser.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { navigate } from '../lib/browser.mjs';
import { Call } from '../lib/call.mjs';
import { dropUDP, openAll } from '../lib/firewall.mjs';

const timeout = 120_000;

/** Goes through the examination, and gives its verdict with what was found: { verdict, levels: { UDP: 'ok', … }, texts }. */
async function examine(person, origin) {
  await navigate(person.page, `${origin}/doctor`);
  await person.page.locator('::-p-aria([name="Start"][role="button"])').click();
  await person.page.waitForFunction(() => /^Calls /.test(document.querySelector('h1').textContent), { timeout: 90_000, polling: 250 });
  return person.page.evaluate(() => {
    const rows = [...document.querySelectorAll('.findings li')].map((row) => [row.querySelector('strong').textContent, row]);
    return {
      verdict: document.querySelector('h1').textContent,
      levels: Object.fromEntries(rows.map(([area, row]) => [area, row.dataset.level])),
      texts: rows.map(([, row]) => row.innerText.replace(/\s+/g, ' ')),
    };
  });
}

describe('the doctor of visitors', () => {
  let call;
  before(async () => {
    call = await Call.start('doctor', [['ann', 'chromium', 1], ['eve', 'firefox', 2]]);
  }, { timeout: 180_000 });
  after(async () => {
    openAll();
    await call?.close();
  });

  test('finds every way to the server, what it carries, and nothing wrong', { timeout }, async (t) => {
    for (const person of call.people) {
      const { verdict, levels, texts } = await examine(person, call.origin);
      for (const text of texts) t.diagnostic(`${person.name}: ${text}`);
      for (const area of ['Camera', 'Microphone', 'Codecs', 'Server', 'UDP', 'Bandwidth', 'TCP', 'Relay, UDP', 'Relay, TCP', 'NAT']) {
        assert.equal(levels[area], 'ok', `${person.name}, ${area}: ${texts.join('\n')}`);
      }
      assert.equal(verdict, 'Calls work from here.', `${person.name}: ${texts.join('\n')}`);
      // This path carries all that is sent: the page asks for 2.5 Mbit/s, of which a busy machine encodes less.
      const [, mbit] = /^Bandwidth .* ([\d.]+) Mbit\/s/m.exec(texts.join('\n'));
      assert.ok(mbit >= 0.8, `${person.name}: ${mbit} Mbit/s`);
    }
  });

  test('says what is left where UDP is blocked', { timeout }, async () => {
    dropUDP();
    const { verdict, levels, texts } = await examine(call.ann, call.origin);
    const found = ['UDP', 'Bandwidth', 'TCP', 'Relay, UDP', 'Relay, TCP', 'NAT'].map((area) => levels[area]);
    assert.deepEqual(found, ['warning', 'ok', 'ok', 'warning', 'ok', 'note'], texts.join('\n'));
    assert.equal(verdict, 'Calls work from here, with limits.');
  });
});
