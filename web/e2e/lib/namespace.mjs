// A network namespace of its own for one run: loopback, and a veth pair whose address browsers offer as a candidate.
// Nothing in it has a route to anywhere else. The name carries the process id of its run, so that a run that was killed
// leaves something that a later run can recognise and remove.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const prefix = 'parley-e2e-';

/** The address of the namespace's own interface; 127.0.0.1 is not enough for Firefox. */
export const address = '10.77.0.1';

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

/** Makes the namespace of this process and returns its name. */
export function createNamespace() {
  removeAbandoned();
  const name = prefix + process.pid;
  run('ip', 'netns', 'add', name);
  try {
    const ip = (...args) => run('ip', '-n', name, ...args);
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', 'net0', 'type', 'veth', 'peer', 'name', 'net1');
    ip('addr', 'add', `${address}/24`, 'dev', 'net0');
    ip('link', 'set', 'net0', 'up');
    ip('link', 'set', 'net1', 'up');
    ip('route', 'add', 'default', 'dev', 'net0');
  } catch (error) {
    removeNamespace(name);
    throw error;
  }
  return name;
}

/** Ends what still runs in a namespace of ours, and removes it. */
export function removeNamespace(name) {
  for (const pid of processes(name)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it ended by itself
    }
  }
  try {
    run('ip', 'netns', 'del', name);
  } catch {
    // it is gone
  }
}

function processes(name) {
  try {
    return run('ip', 'netns', 'pids', name).split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function removeAbandoned() {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const pid = name.startsWith(prefix) && parseInt(name.slice(prefix.length), 10); // a lab adds a letter to its own
    if (pid && !existsSync(`/proc/${pid}`)) removeNamespace(name);
  }
}
