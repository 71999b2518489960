// Modules of the app, for tests that run beside it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const app = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../app');

/** Compiles modules below web/app, which import nothing. Gives the folder that they are in, as .js. */
export function compiled(...files) {
  const out = mkdtempSync(path.join(tmpdir(), 'compiled-'));
  writeFileSync(path.join(out, 'package.json'), '{"type":"module"}');
  execFileSync(path.join(app, 'node_modules/.bin/tsc'), ['--ignoreConfig', '--target', 'es2022', '--module', 'es2022', '--lib', 'es2023,dom', '--outDir', out, ...files.map((file) => path.join(app, file))]);
  return out;
}
