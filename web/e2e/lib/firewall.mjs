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

/** Resets every TCP connection of the server's port, old and new, both ends, until openAll: the server cannot be reached. */
export function resetTCP(port) {
  assertInNamespace();
  nft(`table inet e2e
delete table inet e2e
table inet e2e {
  chain in {
    type filter hook input priority 0;
    tcp dport ${port} counter reject with tcp reset;
    tcp sport ${port} counter reject with tcp reset;
  }
}
`);
}

/** Drops every TCP segment of the server's port until openAll: the server answers nothing. */
export function dropTCP(port) {
  assertInNamespace();
  nft(`table inet e2e
delete table inet e2e
table inet e2e {
  chain in { type filter hook input priority 0; tcp dport ${port} counter drop; tcp sport ${port} counter drop; }
}
`);
}

/** Removes the rules. */
export function openAll() {
  assertInNamespace();
  nft('table inet e2e\ndelete table inet e2e\n');
}
