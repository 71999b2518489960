// Prints each test as it ends, the reason of each failure, and a last line that counts them. Where FAILED names a file, what
// failed is added to it in few words, for whoever runs several suites and sums them up.

import { appendFileSync } from 'node:fs';
import path from 'node:path';

const indent = (text, by) => text.split('\n').map((line) => by + line).join('\n');

/** Lines with which the runner itself sums up; ours is the last one. */
const summary = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

function reason(error) {
  const cause = error?.cause ?? error;
  if (error?.exitCode !== undefined) return `the file's process ended with ${error.signal ?? error.exitCode}`;
  return cause?.stack ?? cause?.message ?? String(cause);
}

/** A name, and the first two lines of the reason. */
const inShort = (name, text) =>
  [name, ...text.split('\n').filter((line) => line.trim()).slice(0, 2).map((line) => '    ' + line.trim().slice(0, 200))].join('\n');

export default async function* report(source) {
  let passed = 0;
  let failed = 0;
  let file = '';
  const failures = [];
  for await (const { type, data: event } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield indent(event.message.trimEnd(), '    ') + '\n';
      continue;
    }
    if (type === 'test:start' && event.file && event.file !== file) {
      file = event.file;
      yield `\n${path.basename(file)}\n`;
    }
    if (type === 'test:diagnostic' && !summary.test(event.message)) yield `    ${event.message}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (event.details?.type === 'suite') {
      // a suite that fails by itself, not through its tests: before or after threw
      const code = event.details.error?.failureType;
      if (type !== 'test:fail' || code === 'subtestsFailed') continue;
      const text = reason(event.details.error);
      failures.push(inShort(`${path.basename(event.file ?? '')}: ${event.name}`, text));
      yield `  ✗ ${event.name}\n${indent(text, '      ')}\n`;
      continue;
    }
    const seconds = (event.details.duration_ms / 1000).toFixed(1);
    if (type === 'test:pass') {
      passed++;
      yield `  ✓ ${event.name} (${seconds} s)\n`;
    } else {
      failed++;
      const text = reason(event.details.error);
      failures.push(inShort(`${path.basename(event.file ?? '')}: ${event.name}`, text));
      yield `  ✗ ${event.name} (${seconds} s)\n${indent(text, '      ')}\n`;
    }
  }
  if (failures.length > 1) yield `\nfailed:\n${indent(failures.map((text) => text.split('\n')[0]).join('\n'), '  ')}\n`;
  if (process.env.FAILED && failures.length > 0) appendFileSync(process.env.FAILED, failures.join('\n') + '\n');
  yield `\n${passed} passed, ${failed} failed\n`;
}
