// Networks between the namespace of a run, where people are, and a server in another one:
//
//	people ─ wifi ─ link ─┐
//	                      ├─ router (NAT) ── server
//	people ─ lte ─────────┘
//
// The link is internal/tools/link, which loses and delays what it is told to. The router gives people on Wi-Fi one of two addresses, which rebind changes, and people on LTE a third.

import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const run = (command, args, options) => execFileSync(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options }).toString();
const port = 8443;

export class Lab {
  #outside = 11;
  #link;
  #answers;

  /** Builds everything in place of the run's own interface. */
  constructor() {
    this.people = process.env.PARLEY_E2E_NAMESPACE;
    if (!this.people) throw new Error('a lab is made in the namespace of a run: start it with run.mjs');
    this.router = `${this.people}-r`;
    this.server = `${this.people}-s`;
    this.wire = `${this.people}-w`;
    this.origin = `https://10.90.0.2:${port}`;
    this.prefix = ['ip', 'netns', 'exec', this.server];
    try {
      this.#build();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #build() {
    const { people, router, server, wire } = this;
    for (const name of [router, server, wire]) {
      run('ip', ['netns', 'add', name]);
      run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    if (run('ip', ['link']).includes('net0')) run('ip', ['link', 'del', 'net0']); // no other lab of this run has
    for (const name of [people, router, server, wire]) { // addresses that come by themselves are changes of the network too
      run('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
    }
    const cable = (a, an, aAddress, b, bn, bAddress) => {
      run('ip', ['-n', a, 'link', 'add', an, 'type', 'veth', 'peer', 'name', bn, 'netns', b]);
      for (const [ns, name, address] of [[a, an, aAddress], [b, bn, bAddress]]) {
        for (const x of address.split(' ').filter(Boolean)) run('ip', ['-n', ns, 'addr', 'add', x, 'dev', name]);
        // Else the link would see packets of 64 KiB, and without checksums.
        run('ip', ['netns', 'exec', ns, 'ethtool', '-K', name, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off']);
        run('ip', ['-n', ns, 'link', 'set', name, 'up']);
      }
    };
    cable(people, 'wifi', '10.91.0.2/24', wire, 'l0', '');
    cable(wire, 'l1', '', router, 'rwifi', '10.91.0.1/24');
    cable(people, 'lte', '10.92.0.2/24', router, 'rlte', '10.92.0.1/24');
    cable(router, 'rserver', '10.90.0.11/24 10.90.0.12/24 10.90.0.13/24', server, 'eth0', '10.90.0.2/24');
    run('ip', ['netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    run('ip', ['-n', server, 'route', 'add', 'default', 'via', '10.90.0.11']); // or browsers there take it for offline
    run('ip', ['link', 'set', 'lte', 'down']);
    run('ip', ['route', 'replace', 'default', 'via', '10.91.0.1']);
    this.#nat();
  }

  #nat() {
    run('ip', ['netns', 'exec', this.router, 'nft', '-f', '-'], { input: `table ip lab
delete table ip lab
table ip lab {
  chain post {
    type nat hook postrouting priority 100;
    oifname "rserver" ip saddr 10.91.0.0/24 snat to 10.90.0.${this.#outside}
    oifname "rserver" ip saddr 10.92.0.0/24 snat to 10.90.0.13
  }
  chain forward {
    type filter hook forward priority 0;
    ct state invalid drop
    iifname "rserver" ct state new drop
  }
}
` });
  }

  /** Starts the link. Nothing passes before. */
  async connect() {
    const binary = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../bin/link');
    this.#link = spawn('ip', ['netns', 'exec', this.wire, binary, '-a', 'l0', '-b', 'l1'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = readline.createInterface({ input: this.#link.stdout })[Symbol.asyncIterator]();
    await this.#answer();
  }

  async #answer() {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the link has ended');
    return value;
  }

  /** Tells the link what to do: see internal/tools/link. */
  async link(line) {
    this.#link.stdin.write(`${line}\n`);
    const answer = await this.#answer();
    if (line !== 'stats' && answer !== 'ok') throw new Error(`link, ${line}: ${answer}`);
    return answer;
  }

  /** People on Wi-Fi have another address for the server from now on, in the middle of everything but TCP, which such a NAT would cut. */
  rebind() {
    this.#outside = this.#outside === 11 ? 12 : 11;
    this.#nat();
    run('ip', ['netns', 'exec', this.router, 'conntrack', '-D', '-p', 'udp']); // what is known of flows
  }

  /** The router lets through what its firewall does from now on: "open", everything, or "tcp", no UDP. */
  firewall(lets) {
    const rule = { open: '', tcp: 'meta l4proto udp drop' }[lets];
    run('ip', ['netns', 'exec', this.router, 'nft', '-f', '-'], { input: `table ip firewall
delete table ip firewall
table ip firewall {
  chain forward {
    type filter hook forward priority -1;
    ${rule}
  }
}
` });
  }

  /** People walk out of the Wi-Fi, and their phones take LTE. */
  handOver() {
    this.#change('wifi', 'lte', '10.92.0');
  }

  /** And back. */
  handBack() {
    this.#change('lte', 'wifi', '10.91.0');
  }

  #change(from, to, net) {
    run('ip', ['addr', 'flush', 'dev', from]); // or its sockets would go on over the other network
    run('ip', ['link', 'set', from, 'down']);
    run('ip', ['addr', 'replace', `${net}.2/24`, 'dev', to]);
    run('ip', ['link', 'set', to, 'up']);
    run('ip', ['route', 'replace', 'default', 'via', `${net}.1`]);
  }

  close() {
    this.#link?.stdin.end();
    const links = ['wifi', 'lte'].map((name) => ['link', 'del', name]); // before the namespaces at their other ends, which go when they like
    for (const what of [...links, ...[this.router, this.server, this.wire].map((name) => ['netns', 'del', name])]) {
      try {
        run('ip', what);
      } catch {
        // it is gone, or never was
      }
    }
  }
}
