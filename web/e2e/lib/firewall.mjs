// Rules of the namespace that this process runs in.

import { execFileSync } from 'node:child_process';

const nft = (text) => execFileSync('nft', ['-f', '-'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });

function assertInNamespace() {
  if (!process.env.PARLEY_E2E_NAMESPACE) throw new Error('rules are only made in the namespace of a run: start it with run.mjs');
}

/** Drops every UDP datagram of the namespace until openAll. */
export function dropUDP() {
  assertInNamespace();
  nft(`table inet e2e
delete table inet e2e
table inet e2e {
  chain in { type filter hook input priority 0; meta l4proto udp counter drop; }
  chain out { type filter hook output priority 0; meta l4proto udp counter drop; }
}
`);
}

/**
 * Drops TCP between a port of the server and one client port, both ways: a socket that dies without a word. Without
 * clientPort all connections of the server's port are cut.
 */
export function cutTCP(serverPort, clientPort) {
  assertInNamespace();
  const to = clientPort ? `tcp dport ${serverPort} tcp sport ${clientPort}` : `tcp dport ${serverPort}`;
  const from = clientPort ? `tcp sport ${serverPort} tcp dport ${clientPort}` : `tcp sport ${serverPort}`;
  nft(`table inet e2e
delete table inet e2e
table inet e2e {
  chain in { type filter hook input priority 0; ${to} counter drop; ${from} counter drop; }
}
`);
}

/** Removes the rules. */
export function openAll() {
  assertInNamespace();
  nft('table inet e2e\ndelete table inet e2e\n');
}
