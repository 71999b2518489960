// Somebody in a room with a program in place of a browser: internal/tools/board, which shares records by the Go package.

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const binary = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../bin/board');

export class Gopher {
  /** What the program has of each record; its own writes are in it at once. */
  documents = {};
  /** How it was connected, the last at the end. */
  connections = [];
  #child;
  #ended;
  #lines = 0;
  #results = new Map(); // by the number of the line that asked for it

  /** Joins a room, and follows records. */
  static async start(origin, { room, identity, name }, records) {
    try {
      accessSync(binary, constants.X_OK);
    } catch {
      throw new Error(`${binary} is not there: make bin/board`);
    }
    const gopher = new Gopher();
    gopher.#child = spawn(binary, ['-url', origin, '-room', room, '-identity', identity, '-name', name, ...records], { stdio: ['pipe', 'pipe', 'inherit'] });
    gopher.#ended = new Promise((done) => gopher.#child.once('exit', (code, signal) => done(signal ?? code)));
    readline.createInterface({ input: gopher.#child.stdout }).on('line', (line) => gopher.#read(JSON.parse(line)));
    await gopher.until(() => records.every((name) => name in gopher.documents), 'its records');
    return gopher;
  }

  #read({ record, document, connection, done, error }) {
    if (record !== undefined) this.documents[record] = document;
    if (connection !== undefined) this.connections.push(connection);
    if (done !== undefined) this.#results.get(done)(error);
  }

  /** Waits until probe() is truthy. */
  async until(probe, what) {
    const end = Date.now() + 20_000;
    while (!probe()) {
      const ended = await Promise.race([this.#ended, new Promise((done) => setTimeout(done, 50, undefined))]);
      if (ended !== undefined) throw new Error(`the program: ${what}: it ended with ${ended}`);
      if (Date.now() > end) throw new Error(`the program: ${what}: not within 20 s; ${JSON.stringify(this.connections)}`);
    }
  }

  #tell(line) {
    this.#lines++;
    this.#child.stdin.write(`${line}\n`);
  }

  /** Sets members of a record, together; undefined takes one away. Resolves when the server has carried it out. */
  write(record, members) {
    const operations = Object.entries(members).map(([key, value]) => ({ ...(value === undefined ? { op: 'erase' } : { op: 'set', value }), path: `[${JSON.stringify(key)}]` }));
    this.#tell(JSON.stringify({ record, operations }));
    return new Promise((done, fail) => this.#results.set(this.#lines, (error) => (error === undefined ? done() : fail(new Error(`the program: ${record}: ${error}`)))));
  }

  /** Its connection is lost, and there is none for so long. */
  cut(seconds) {
    this.#tell(`cut ${seconds}s`);
  }

  async close() {
    this.#child.stdin.end();
    const last = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#ended;
    clearTimeout(last);
  }
}
