// The app as people use it: found by the names that its controls have for screen readers, and touched on a phone.

import { Person, appScript, navigate } from './browser.mjs';
import { frequencyOf } from './media.mjs';

const patience = 40_000;
/** Title of the tab that people share. */
const slides = 'Slides';
/** A name that leads to this machine, and that the server does not know. */
export const foreignName = 'parley.example';
const phoneScreen = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/** Other phones: small ones, and one on its side. */
const otherPhones = [{ width: 320, height: 640 }, { width: 360, height: 640 }, { width: 740, height: 360 }];

const answers = [`--auto-select-tab-capture-source-by-title=${slides}`, `--host-resolver-rules=MAP ${foreignName} 127.0.0.1`];

export class App {
  /** Opens a browser, which has not been asked for anything yet. Number tells its camera and microphone apart; from is where it runs, a Far. */
  static async start(call, name, number, { isPhone = false, from } = {}) {
    const person = await Person.start('chromium', name, number, from?.namespace, answers);
    call.people.push(person);
    const app = new App(from?.origin ?? call.origin, person, person.page);
    await app.#prepare(isPhone);
    return app;
  }

  constructor(origin, person, page) {
    const { name, number } = person;
    Object.assign(this, { origin, person, page, name, number, frequency: frequencyOf(number) });
  }

  /** Somebody else in another tab of the same browser. */
  async another(name, { isPhone = false } = {}) {
    const app = new App(this.origin, this.person, await this.person.newPage());
    app.name = name;
    await app.#prepare(isPhone);
    return app;
  }

  async #prepare(isPhone) {
    this.isPhone = isPhone;
    this.devtools = await this.page.createCDPSession();
    if (isPhone) await this.page.setViewport(phoneScreen);
    await this.page.setBypassCSP(true); // the policy would forbid the tests' own scripts
    await this.page.evaluateOnNewDocument(appScript);
    await this.permit('camera', 'microphone');
  }

  permit(...devices) {
    return this.#permissions('granted', devices);
  }

  refuse(...devices) {
    return this.#permissions('denied', devices);
  }

  async #permissions(setting, devices) {
    for (const name of devices) {
      await this.devtools.send('Browser.setPermission', { permission: { name }, setting, origin: new URL(this.origin).origin });
    }
  }

  open(path) {
    return navigate(this.page, new URL(path, this.origin).href);
  }

  /** Opens a room and joins it. */
  async enter(path) {
    await this.open(path);
    await this.join();
  }

  /** From the lobby into the call, until it is connected. */
  async join() {
    await this.until(() => document.querySelector('.preview video, .preview .advice'), 'the preview');
    await this.write('Your name', this.name);
    await this.press('Join');
    await this.connected();
  }

  connected() {
    return this.until(() => document.querySelector('.room') && !document.querySelector('.banner .spinner'), 'the call to be connected');
  }

  /** Runs a function in the page; errors carry the person's name. */
  async evaluate(work, ...args) {
    try {
      return await this.page.evaluate(work, ...args);
    } catch (error) {
      throw new Error(`${this.name}: ${error.message}`, { cause: error });
    }
  }

  /** Waits until probe is truthy in the page. */
  async until(probe, what, ...args) {
    try {
      await this.page.waitForFunction(probe, { timeout: patience, polling: 100 }, ...args);
    } catch (error) {
      throw new Error(`${this.name}: ${what}: ${error.message}`, { cause: error });
    }
  }

  /** Waits for a text on the screen. */
  read(text) {
    return this.until((text) => document.body.innerText.includes(text), `“${text}”`, text);
  }

  /** Waits until a text is not on the screen. */
  readNoMore(text) {
    return this.until((text) => !document.body.innerText.includes(text), `no “${text}”`, text);
  }

  /** A control by its name and role, once it can be seen. */
  async find(name, role = 'button') {
    try {
      return await this.page.waitForSelector(`aria/${name}[role="${role}"]`, { visible: true, timeout: patience });
    } catch (error) {
      throw new Error(`${this.name}: ${role} “${name}”: ${error.message}`, { cause: error });
    }
  }

  async press(name, role) {
    const control = await this.find(name, role);
    await this.#settled(control);
    await (this.isPhone ? control.tap() : control.click());
  }

  /** Waits until a control stays where it is: what appears above it would make a click miss it. */
  async #settled(control) {
    await this.page.waitForFunction((control) => {
      const { x, y } = control.getBoundingClientRect();
      const before = control.e2ePlace;
      control.e2ePlace = `${x} ${y}`;
      return control.e2ePlace === before;
    }, { timeout: patience, polling: 100 }, control);
  }

  /** Waits until a control has the focus. */
  async hasFocus(name) {
    await this.evaluate((name) => e2e.until(() => (document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()) === name, 'the focus', 5000)
      .catch(({ message }) => { throw new Error(`${message} at “${name}”: ${document.activeElement.outerHTML.slice(0, 120)}`); }), name);
  }

  /** On a phone, and on others, fingers can hit all that the screen shows, and no message covers what is open. */
  async fitsFingers(what) {
    for (const size of [...otherPhones, phoneScreen]) {
      await this.page.setViewport({ ...phoneScreen, ...size });
      await this.evaluate(async ({ width, height }, what) => {
        let wrong;
        await e2e.until(() => innerWidth === width && (wrong = [...e2e.cramped(), ...e2e.covering()]).length === 0, what, 5000).catch((error) => {
          throw new Error(`${error.message}, ${width} x ${height}: ${wrong?.join('; ')}`);
        });
      }, size, what);
    }
  }

  /** However many messages are unread. */
  async openChat() {
    const button = await this.page.waitForSelector('#open-chat', { timeout: patience });
    await (this.isPhone ? button.tap() : button.click());
  }

  /** Writes into a field in place of what is in it. */
  async write(name, text) {
    const field = await this.find(name, 'textbox');
    await field.evaluate((field) => field.select());
    await field.type(text);
  }

  async openFromMenu(name) {
    await this.press('More');
    await this.press(name, 'menuitem');
  }

  /** Draws on the whiteboard from one point to the next, each in parts of its width and height. */
  async draw(...points) {
    const ground = await this.page.waitForSelector('.strokes', { timeout: patience });
    await this.#settled(ground);
    const { x, y, width, height } = await ground.boundingBox();
    const { mouse, touchscreen } = this.page;
    const places = points.map(([px, py]) => [x + px * width, y + py * height]);
    const [begin, go, end] = this.isPhone
      ? [(at) => touchscreen.touchStart(...at), (at) => touchscreen.touchMove(...at), () => touchscreen.touchEnd()]
      : [async (at) => { await mouse.move(...at); await mouse.down(); }, (at) => mouse.move(...at), () => mouse.up()];
    await begin(places[0]);
    for (const at of places.slice(1)) await go(at);
    await end();
  }

  /** Writes at the end of the shared notes. */
  async writeNotes(text) {
    const field = await this.find('Notes', 'textbox');
    await field.evaluate((field) => {
      field.focus();
      field.setSelectionRange(field.value.length, field.value.length);
    });
    await field.type(text);
  }

  /** Presses a key while others are held. */
  async chord(key, ...held) {
    const { keyboard } = this.page;
    for (const other of held) await keyboard.down(other);
    await keyboard.press(key);
    for (const other of held.reverse()) await keyboard.up(other);
  }

  /** What is on the whiteboard, each stroke with its colour, and in the notes, where they are open. */
  together() {
    return this.evaluate(() => ({
      strokes: [...document.querySelectorAll('.strokes path')].map((path) => `${path.getAttribute('class')} ${path.getAttribute('d')}`),
      notes: document.querySelector('textarea.notes')?.value,
    }));
  }

  /** Waits until somebody's tile shows the picture of a camera or screen with this number. Gives how many frames were decoded. */
  sees(caption, number) {
    return this.evaluate((caption, number) => e2e.see(caption, number), caption, number);
  }

  /** Waits until the own camera is seen before joining. */
  seesPreview() {
    return this.evaluate((number) => e2e.watch(() => document.querySelector('.preview video'), number, 'the preview'), this.number);
  }

  /** Waits until somebody's tile has no picture. */
  seesNothingOf(caption) {
    return this.until((caption) => e2e.tile(caption) && !e2e.tile(caption).querySelector('video'), `no picture of ${caption}`, caption);
  }

  seesTile(caption) {
    return this.until((caption) => e2e.tile(caption), `the tile of ${caption}`, caption);
  }

  seesNoTile(caption) {
    return this.until((caption) => !e2e.tile(caption), `no tile of ${caption}`, caption);
  }

  /** Waits until somebody's tile says that the microphone is muted, or that it is not. */
  seesMuted(caption, isMuted) {
    return this.until((caption, isMuted) => e2e.tile(caption)?.getAttribute('aria-label').split(', ').includes('muted') === isMuted,
      `${caption} to be ${isMuted ? '' : 'no longer '}marked as muted`, caption, isMuted);
  }

  /** Waits until somebody's hand is in this place of those that are raised; 0: it is not. */
  seesHand(caption, place) {
    return this.until((caption, place) => {
      const label = e2e.tile(caption)?.getAttribute('aria-label');
      return label !== undefined && (/hand raised, number (\d+)/.exec(label)?.[1] ?? '0') === String(place);
    }, `the hand of ${caption} in place ${place}`, caption, place);
  }

  hears(frequency) {
    return this.evaluate((hz) => e2e.hearTone(hz), frequency);
  }

  hearsNothing() {
    return this.evaluate(() => e2e.hearSilence());
  }

  /** What “Copy the link” left in the clipboard. */
  async clipboard() {
    await this.permit('clipboard-read');
    await this.page.bringToFront();
    return this.evaluate(() => navigator.clipboard.readText());
  }

  /** Shares another tab, which shows a moving picture with this number. */
  async share(number) {
    const tab = await this.person.newPage();
    await tab.setContent(`<title>${slides}</title><style>body{margin:0}canvas{width:100vw;height:100vh}</style><canvas width="1280" height="720"></canvas>`);
    await tab.evaluate(appScript);
    await tab.evaluate((number) => {
      const context = document.querySelector('canvas').getContext('2d');
      let n = 0;
      setInterval(() => e2e.draw(context, number, n++), 100);
    }, number);
    await this.page.bringToFront();
    await this.press('Share screen');
    await this.read('Everyone sees your screen.');
    await this.page.bringToFront(); // Chromium has shown the tab that is shared
  }
}
