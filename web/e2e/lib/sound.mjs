// A sound card for Firefox: without one its AudioContext stays suspended for ever. PulseAudio with a null sink plays to
// nowhere in real time. Chromium needs none.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

let started;

/** Environment for a browser that shall find the sound card; it is made once per test process and ends with it. */
export function soundCard() {
  started ??= start();
  return started;
}

async function start() {
  const folder = await mkdtemp(path.join(tmpdir(), 'sound-'));
  const socket = path.join(folder, 'socket');
  const child = spawn(
    'pulseaudio',
    ['-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--disable-shm=yes', '--realtime=no', '--high-priority=no',
      '-L', 'module-null-sink sink_name=nowhere rate=48000', '-L', `module-native-protocol-unix socket=${socket} auth-anonymous=1`],
    { stdio: 'ignore', env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder } },
  );
  child.unref();
  process.on('exit', () => child.kill());
  for (let tries = 0; !existsSync(socket); tries++) {
    if (child.exitCode !== null) throw new Error(`pulseaudio ended with ${child.exitCode}`);
    if (tries > 100) throw new Error('pulseaudio did not open its socket in 10 s');
    await new Promise((done) => setTimeout(done, 100));
  }
  return { PULSE_SERVER: `unix:${socket}` };
}
