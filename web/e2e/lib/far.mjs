// A namespace for somebody who is at the other end of a cable, which can be cut. Make it before the server, which looks at its addresses when it starts.

import { execFileSync } from 'node:child_process';
import { cutOff, openAll } from './firewall.mjs';
import { port } from './server.mjs';

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
const cable = 'far0';

export class Far {
  constructor() {
    const here = process.env.PARLEY_E2E_NAMESPACE;
    if (!here) throw new Error('this is made beside the namespace of a run: start it with run.mjs');
    this.namespace = `${here}-f`;
    this.origin = `https://10.78.0.1:${port}`;
    try {
      run('ip', 'netns', 'add', this.namespace);
      run('ip', 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.namespace);
      run('ip', 'addr', 'add', '10.78.0.1/24', 'dev', cable);
      run('ip', 'link', 'set', cable, 'up');
      for (const args of [['link', 'set', 'lo', 'up'], ['addr', 'add', '10.78.0.2/24', 'dev', 'eth0'], ['link', 'set', 'eth0', 'up'], ['route', 'add', 'default', 'via', '10.78.0.1']]) {
        run('ip', '-n', this.namespace, ...args);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  cut() {
    cutOff(cable);
  }

  mend() {
    openAll();
  }

  close() {
    for (const args of [['link', 'del', cable], ['netns', 'del', this.namespace]]) {
      try {
        run('ip', ...args);
      } catch {
        // it is gone, or never was
      }
    }
  }
}
