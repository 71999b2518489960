// Rules of the namespace that this process runs in, and its sockets.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const nft = (text) => execFileSync('nft', ['-f', '-'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });

const noRules = 'table inet e2e\ndelete table inet e2e\n';

/** Puts chains in the place of those before. */
const rules = (chains) => nft(`${noRules}table inet e2e {${chains}\n}\n`);

function assertInNamespace() {
  if (!process.env.PARLEY_E2E_NAMESPACE) throw new Error('rules are only made in the namespace of a run: start it with run.mjs');
}

/** Drops every UDP datagram of the namespace until openAll. */
export function dropUDP() {
  assertInNamespace();
  rules(`
  chain in { type filter hook input priority 0; meta l4proto udp counter drop; }
  chain out { type filter hook output priority 0; meta l4proto udp counter drop; }`);
}

/** Drops what goes to an address by UDP, and by TCP to a port, until openAll; the same port of other addresses is open. */
export function dropMedia(address, port) {
  assertInNamespace();
  rules(`
  chain in {
    type filter hook input priority 0;
    meta l4proto udp counter drop;
    ip daddr ${address} tcp dport ${port} counter drop;
  }`);
}

/** Ends every TCP connection of the server's port at once, at both ends, and refuses new ones until openAll. */
export function resetTCP(port) {
  assertInNamespace();
  rules(`
  chain in {
    type filter hook input priority 0;
    tcp flags rst accept
    tcp dport ${port} counter reject with tcp reset;
  }`);
  execFileSync('ss', ['-KHtn', 'sport', '=', `:${port}`]);
}

/** Lets nothing through an interface until openAll, and says nothing about it: as if a cable had been pulled somewhere on the way. */
export function cutOff(name) {
  assertInNamespace();
  rules(`
  chain in { type filter hook input priority 0; iifname "${name}" counter drop; }
  chain out { type filter hook output priority 0; oifname "${name}" counter drop; }`);
}

/** Removes the rules. */
export function openAll() {
  assertInNamespace();
  nft(noRules);
}

/**
 * Sockets of the namespace that are made from now on take in at most 64 KiB that nobody reads, so that a client that stops
 * reading closes its TCP window soon. Returns what undoes it.
 */
export function smallReceiveBuffers() {
  assertInNamespace();
  const file = '/proc/sys/net/ipv4/tcp_rmem';
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, '4096 65536 65536');
  return () => writeFileSync(file, before);
}
