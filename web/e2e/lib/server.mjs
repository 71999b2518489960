// The binary under test, and a server of empty pages for tests that need none.

import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, createWriteStream, mkdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { outFolder } from './browser.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const binary = path.resolve(process.env.PARLEY_BIN ?? path.join(here, '../../../bin/parley'));

/** Parley's environment, without what is for the tests. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLEY_')));

export const port = 8443;
export const origin = `http://localhost:${port}`;

/** Parley, with a data directory of its own; its output goes to out/NAME.log. */
export class Server {
  static start(name, ...flags) {
    return Server.startAt({ origin, prefix: [] }, name, ...flags);
  }

  /** The same where a prefix of its command line leads, reached by an origin. */
  static async startAt({ origin, prefix }, name, ...flags) {
    try {
      accessSync(binary, constants.X_OK);
    } catch {
      throw new Error(`${binary} is not there: build it, or set PARLEY_BIN`);
    }
    mkdirSync(outFolder, { recursive: true });
    const server = new Server();
    server.origin = origin;
    server.folder = await mkdtemp(path.join(tmpdir(), 'parley-data-'));
    server.logFile = path.join(outFolder, `${name}.log`);
    const log = createWriteStream(server.logFile);
    const [command, ...args] = [...prefix, binary, 'serve', '--listen', `0.0.0.0:${port}`, '--data', server.folder, '--auth', 'open', ...flags];
    server.child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
    });
    server.child.stdout.pipe(log, { end: false });
    server.child.stderr.pipe(log, { end: false });
    server.ended = new Promise((done) => server.child.once('exit', (code, signal) => {
      log.end();
      done(signal ?? code);
    }));
    await server.ready();
    return server;
  }

  async ready() {
    const end = Date.now() + 20_000;
    for (;;) {
      const ended = await Promise.race([this.ended, new Promise((done) => setTimeout(done, 100, undefined))]);
      if (ended !== undefined) throw new Error(`parley ended with ${ended}; its output is in ${this.logFile}`);
      const answer = await fetch(`${this.origin}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      if (Date.now() > end) {
        await this.stop();
        throw new Error(`parley is not ready after 20 s; its output is in ${this.logFile}`);
      }
    }
  }

  /** A metric's values by one of its labels. */
  async counters(name, label) {
    const text = await (await fetch(`${origin}/metrics`)).text();
    const values = {};
    for (const line of text.split('\n').filter((line) => line.startsWith(`${name}{`))) {
      const key = new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1];
      values[key] = (values[key] ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return values;
  }

  /** A metric's value summed over its labels; NaN where it does not exist. */
  async metric(name) {
    const text = await (await fetch(`${this.origin}/metrics`)).text();
    const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    return values.length > 0 ? values.reduce((a, b) => a + b) : NaN;
  }

  /** A token of this server, as `parley token` makes it. */
  token(...flags) {
    return execFileSync(binary, ['token', '--data', this.folder, ...flags], { env: environment }).toString().trim();
  }

  /** An admin rules what somebody in the room tea may do, as POST /v1/grants takes it. Gives what holds then. */
  async rule(ruling) {
    const token = this.token('--room', 'tea', '--name', 'Boss', '--admin');
    const answer = await fetch(`${this.origin}/v1/grants`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(ruling),
    });
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  /** Bytes that wait in the kernel's send queue of the server's fullest TCP connection. */
  unsentBytes() {
    const rows = execFileSync('ss', ['-Htn', 'state', 'established', `sport = :${port}`]).toString().trim().split('\n');
    return Math.max(0, ...rows.filter(Boolean).map((row) => Number(row.trim().split(/\s+/)[1])));
  }

  /** Tells it to end: it takes nobody new; told again, it ends at once. */
  terminate() {
    this.child.kill('SIGTERM');
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      const second = setTimeout(() => this.child.kill('SIGTERM'), 2000); // a second one ends the drain
      const last = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
      await this.ended;
      clearTimeout(second);
      clearTimeout(last);
    }
    return this.ended;
  }
}

/** Serves an empty page at every path, for tests of the harness itself. */
export async function emptyPages() {
  const server = http.createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><title>e2e</title><body>');
  });
  await new Promise((done) => server.listen(0, 'localhost', done));
  return {
    url: `http://localhost:${server.address().port}/`,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}
