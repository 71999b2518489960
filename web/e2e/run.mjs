#!/usr/bin/env node
// Runs the browser tests: node run.mjs [test file …]
//
// Each run has its own network namespace and its own temporary directory. Both are removed at its end, however it ends.
// PARLEY_BIN is the binary under test (default ../../bin/parley). Tests that need it fail when it is not there.

import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNamespace, removeNamespace } from './lib/namespace.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

function missing() {
  const needed = { ip: 'iproute2', nft: 'nftables', chromium: 'chromium', 'firefox-esr': 'firefox-esr', pulseaudio: 'pulseaudio' };
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin');
  const found = (name) => folders.some((folder) => {
    try {
      accessSync(path.join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return Object.keys(needed).filter((name) => !found(name)).map((name) => needed[name]);
}

function testFiles(args) {
  if (args.length > 0) return args.map((file) => path.resolve(file));
  const folder = path.join(here, 'tests');
  return readdirSync(folder).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => path.join(folder, name));
}

function main() {
  if (process.getuid() !== 0) throw new Error('the tests make a network namespace: run them as root');
  const packages = missing();
  if (packages.length > 0) throw new Error(`missing: apt-get install ${packages.join(' ')}`);
  const files = testFiles(process.argv.slice(2));
  mkdirSync(path.join(here, 'out'), { recursive: true });
  const scratch = mkdtempSync(path.join(tmpdir(), 'parley-e2e-'));
  const namespace = createNamespace();
  const child = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, '--test', '--test-concurrency=1',
      `--test-reporter=${path.join(here, 'reporter.mjs')}`, '--test-reporter-destination=stdout', ...files],
    {
      cwd: here,
      detached: true, // its own process group, so that Ctrl-C reaches us first
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PARLEY_E2E_NAMESPACE: namespace, TMPDIR: scratch },
    },
  );
  let cleaned = false;
  const clean = () => {
    if (cleaned) return;
    cleaned = true;
    removeNamespace(namespace);
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      console.error(`\n${signal}: cleaning up`);
      clean(); // ends everything in the namespace
      process.exit(128 + osConstants.signals[signal]);
    });
  }
  child.on('error', (error) => {
    clean();
    console.error(error.message);
    process.exit(1);
  });
  child.on('exit', (code) => {
    clean();
    process.exit(code ?? 1);
  });
}

try {
  main();
} catch (error) {
  console.error(`e2e: ${error.message}`);
  process.exit(1);
}
