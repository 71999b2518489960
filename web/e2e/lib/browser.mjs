// Starts real browsers with known pictures and tones.

import { readFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';
import { frequencyOf, geometry, writeFilm, writeTone } from './media.mjs';
import { soundCard } from './sound.mjs';
import { within } from './within.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const script = (name) => readFileSync(path.join(here, '../page', name), 'utf8');
const ground = script('page.js').replace('__GEOMETRY__', JSON.stringify(geometry));
const pageScript = ground + script('room.js') + script('lips.js');
/** For pages of the app, before their own scripts. */
export const appScript = ground + script('app.js');

export const outFolder = path.join(here, '../out');

const chromiumArguments = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-device-for-media-stream',
  '--allow-loopback-in-peer-connection',
];

/** Says yes to every question of a page. */
export const consent = [
  '--auto-accept-camera-and-microphone-capture', // --use-fake-ui-for-media-stream would make screens fake too
  '--auto-accept-this-tab-capture',
];

const firefoxPreferences = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.gmp-manager.updateEnabled': false,
  'dom.min_background_timeout_value': 4,
};

/** A browser that has not opened a page after so long is hung: another one is started, of which a test knows nothing. */
const startMs = 20_000;
const starts = 3;
/** So long a page may take to come from the server, and a tab to open. */
const openMs = 20_000;
/** What hangs longer than this in a browser is an error that says what it is, before a test of 120 s is over. */
const protocolTimeout = 110_000;

/**
 * A person at a browser of its own: `number` tells its picture and tone apart from everybody else's.
 * `looks` is what e2e.recognise expects of its camera, `frequency` what e2e.hear expects of its microphone.
 */
export class Person {
  constructor({ name, number, kind, browser, page }) {
    Object.assign(this, { name, number, kind, browser, page, frequency: frequencyOf(number) });
    this.looks = kind === 'firefox' ? 'firefox' : number;
    this.log = [];
    page.on('console', (message) => this.log.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.log.push(`error: ${error.message}`));
  }

  /**
   * Namespace, if given, is where its browser runs; only Chromium can be told what to do from another one. Answers are Chromium's
   * arguments for what pages ask of their user.
   */
  static async start(kind, name, number, namespace, answers = consent) {
    const launch = { chromium: launchChromium, firefox: launchFirefox }[kind];
    return new Person({ name, number, kind, ...await startBrowser(`the ${kind} of ${name}`, (signal) => launch(signal, number, namespace, answers)) });
  }

  /** One more tab. */
  async newPage() {
    const page = await within(openMs, this.browser.newPage(), `a tab of ${this.name}`);
    page.setDefaultNavigationTimeout(openMs);
    return page;
  }

  /**
   * Opens an empty page of an origin and puts page.js and room.js into it. It has no content security policy, which would
   * forbid the tests' own audio worklet: Chromium can be told so, for Firefox the page comes from here.
   */
  async open(origin) {
    if (this.kind === 'chromium') {
      await this.page.setBypassCSP(true);
      await navigate(this.page, new URL('/healthz', origin).href);
    } else {
      await this.#openOwn(new URL('/e2e', origin).href);
    }
    await this.page.evaluate(pageScript);
  }

  /** Answers for the server. Chromium would take such a page for one of another network, and cut it off from the server. */
  async #openOwn(url) {
    const body = '<!doctype html><title>e2e</title><link rel="icon" href="data:,"><body>';
    const answer = (request) => (request.url() === url
      ? request.respond({ status: 200, contentType: 'text/html', body })
      : request.continue()
    ).catch(() => {}); // the page is gone
    this.page.on('request', answer);
    await this.page.setRequestInterception(true);
    try {
      await navigate(this.page, url);
    } finally {
      await this.page.setRequestInterception(false);
      this.page.off('request', answer);
    }
  }

  /** Runs a function in the page; errors carry the person's name. */
  async evaluate(work, ...args) {
    try {
      return await this.page.evaluate(work, ...args);
    } catch (error) {
      throw new Error(`${this.name}: ${error.message}`, { cause: error });
    }
  }

  /** Stops, or continues, all processes of the browser: its sockets stay open and nobody reads them. */
  freeze(frozen) {
    process.kill(-this.browser.process().pid, frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  async screenshot(name) {
    mkdirSync(outFolder, { recursive: true });
    const file = path.join(outFolder, `${name}.png`);
    await this.page.screenshot({ path: file });
    return file;
  }

  async close() {
    const child = this.browser.process();
    const gone = child && child.exitCode === null ? new Promise((done) => child.once('exit', done)) : undefined;
    await Promise.race([this.browser.close(), new Promise((done) => setTimeout(done, 5000))]).catch(() => {});
    if (child?.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await gone;
  }
}

/** Loads a page. An error tells what it waited for, and whether the server lives. */
export async function navigate(page, url) {
  const waiting = new Set();
  const [asked, answered] = [(request) => waiting.add(request.url()), (request) => waiting.delete(request.url())];
  const events = { request: asked, requestfinished: answered, requestfailed: answered };
  for (const [event, note] of Object.entries(events)) page.on(event, note);
  try {
    await page.goto(url, { waitUntil: 'domcontentloaded', timeout: openMs });
  } catch (error) {
    throw new Error(`${url}: ${error.message}; unanswered: ${[...waiting].join(', ') || 'nothing'}; ${await isAlive(url)}`, { cause: error });
  } finally {
    for (const [event, note] of Object.entries(events)) page.off(event, note);
  }
}

async function isAlive(url) {
  const begin = Date.now();
  const answer = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(2000) }).then((r) => r.status, (error) => error.cause?.code ?? error.message);
  return `its server answers ${answer} after ${Date.now() - begin} ms`;
}

/** Starts a browser and opens a page in it, which answers. One that hangs is ended, and another one started. */
async function startBrowser(what, launch) {
  for (let left = starts - 1; ; left--) {
    const attempt = new AbortController();
    const starting = launch(attempt.signal).then(async (browser) => {
      const page = await browser.newPage();
      page.setDefaultNavigationTimeout(openMs);
      await page.setViewport({ width: 1280, height: 800 });
      await page.evaluate(() => document.readyState);
      return { browser, page };
    });
    starting.catch(() => {}); // also when it fails later, because it is ended
    try {
      return await within(startMs, starting, what);
    } catch (error) {
      attempt.abort(); // ends its processes
      if (left === 0) throw error;
      console.log(`${error.message.split('\n', 1)}; another one is started`);
    }
  }
}

async function launchChromium(signal, number, namespace, answers) {
  const folder = await mkdtemp(path.join(tmpdir(), 'chromium-'));
  const film = path.join(folder, 'camera.y4m');
  const tone = path.join(folder, 'microphone.wav');
  writeFilm(film, number);
  writeTone(tone, frequencyOf(number));
  let executablePath = process.env.PARLEY_CHROMIUM ?? '/usr/bin/chromium';
  if (namespace) {
    const there = path.join(folder, 'chromium');
    writeFileSync(there, `#!/bin/sh\nexec ip netns exec ${namespace} ${executablePath} "$@"\n`, { mode: 0o755 });
    executablePath = there;
  }
  return puppeteer.launch({
    executablePath,
    pipe: namespace !== undefined,
    acceptInsecureCerts: true, // Parley's own authority
    headless: true,
    signal,
    timeout: startMs,
    protocolTimeout,
    handleSIGINT: false, // run.mjs ends everything in the namespace
    args: [...chromiumArguments, ...answers, `--use-file-for-fake-video-capture=${film}`, `--use-file-for-fake-audio-capture=${tone}`],
  });
}

async function launchFirefox(signal, number) {
  return puppeteer.launch({
    browser: 'firefox',
    acceptInsecureCerts: true,
    executablePath: process.env.PARLEY_FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    signal,
    timeout: startMs,
    protocolTimeout,
    handleSIGINT: false,
    env: { ...process.env, ...(await soundCard()) },
    extraPrefsFirefox: { ...firefoxPreferences, 'media.navigator.audio.fake_frequency': frequencyOf(number) },
  });
}
