// Two homes, each behind a NAT of its own, and a server on the Internet, in namespaces:
//
//	run's namespace ── NAT a ─┐
//	                          ├─ router ── server
//	namespace b ────── NAT b ─┘
//
// Addresses outside are public ones: a relay refuses others.

import { execFileSync } from 'node:child_process';

const run = (command, args, options) => execFileSync(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options }).toString();
const port = 8443;

/** What a NAT does with what comes from inside; whatever was not asked for does not come in. */
const kinds = {
  'port restricted': { post: 'masquerade' },
  symmetric: { post: 'masquerade fully-random' },
  'UDP blocked': { post: 'masquerade', forward: 'iifname "lan" meta l4proto udp drop;' },
};

export class Homes {
  constructor() {
    this.a = process.env.PARLEY_E2E_NAMESPACE;
    if (!this.a) throw new Error('homes are made around the namespace of a run: start it with run.mjs');
    this.b = `${this.a}-b`;
    this.server = `${this.a}-s`;
    this.router = `${this.a}-r`;
    this.origin = `https://20.0.9.10:${port}`;
    this.prefix = ['ip', 'netns', 'exec', this.server];
    try {
      this.#build();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #gateway(home) {
    return `${this.a}-n${home}`;
  }

  #build() {
    const made = [this.b, this.server, this.router, this.#gateway('a'), this.#gateway('b')];
    for (const name of made) {
      run('ip', ['netns', 'add', name]);
      run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    if (run('ip', ['link']).includes('net0')) run('ip', ['link', 'del', 'net0']);
    for (const name of [this.a, ...made]) {
      run('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv4.ip_forward=1']);
    }
    const cable = (a, an, aAddress, b, bn, bAddress) => {
      run('ip', ['-n', a, 'link', 'add', an, 'type', 'veth', 'peer', 'name', bn, 'netns', b]);
      for (const [ns, name, address] of [[a, an, aAddress], [b, bn, bAddress]]) {
        run('ip', ['-n', ns, 'addr', 'add', address, 'dev', name]);
        run('ip', ['-n', ns, 'link', 'set', name, 'up']);
      }
    };
    const way = (ns, via) => run('ip', ['-n', ns, 'route', 'add', 'default', 'via', via]);
    cable(this.server, 'eth0', '20.0.9.10/24', this.router, 'server', '20.0.9.1/24');
    way(this.server, '20.0.9.1');
    for (const [home, n] of [['a', 1], ['b', 2]]) {
      const gateway = this.#gateway(home);
      cable(this[home], 'home', `10.${n}.0.2/24`, gateway, 'lan', `10.${n}.0.1/24`);
      cable(gateway, 'wan', `20.0.${n}.2/24`, this.router, `home-${home}`, `20.0.${n}.1/24`);
      way(this[home], `10.${n}.0.1`);
      way(gateway, `20.0.${n}.1`);
      this.nat(home, 'port restricted');
    }
  }

  /** Home a or b is behind a NAT of this kind from now on. Its TCP connections stay as they are, or browsers would send requests on those that are dead. */
  nat(home, kind) {
    const { post, forward = '' } = kinds[kind];
    run('ip', ['netns', 'exec', this.#gateway(home), 'nft', '-f', '-'], { input: `table ip nat
delete table ip nat
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "wan" ${post}; }
  chain forward {
    type filter hook forward priority 0;
    ${forward}
    iifname "wan" ct state != { established, related } drop
  }
  chain input { type filter hook input priority 0; iifname "wan" drop; }
}
` });
    run('ip', ['netns', 'exec', this.#gateway(home), 'sh', '-c', 'conntrack -D -p udp || true']); // it fails where there is none
  }

  close() {
    const all = [['link', 'del', 'home'], ...[this.b, this.server, this.router, this.#gateway('a'), this.#gateway('b')].map((name) => ['netns', 'del', name])];
    for (const what of all) {
      try {
        run('ip', what);
      } catch {
        // it is gone, or never was
      }
    }
  }
}
