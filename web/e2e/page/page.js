// Runs in every page under test, before anything else: draws and recognises known pictures and tones, and keeps the
// page's RTCPeerConnections for their statistics. It is a classic script that only adds `e2e` to the window.
'use strict';
(() => {
  const geometry = __GEOMETRY__; // put in by browser.mjs
  const e2e = (window.e2e = { connections: [], kept: [] });

  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...args) {
      super(...args);
      e2e.connections.push(this);
    }
  };

  e2e.sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  /** Waits until probe() is truthy and returns what it gave; what names it in the error. */
  e2e.until = async (probe, what, ms = 15000) => {
    const end = performance.now() + ms;
    for (;;) {
      const value = await probe();
      if (value) return value;
      if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
      await e2e.sleep(100);
    }
  };

  /** What a promise gives, or an error that names it: browsers leave some unsettled. */
  e2e.within = (promise, what, ms = 10000) => Promise.race([
    promise, e2e.sleep(ms).then(() => { throw new Error(`${what}: not within ${ms} ms`); }),
  ]);

  // ---- pictures

  /** Draws a participant's picture on a 2D context, as media.mjs makes it for films. */
  e2e.draw = (context, number, n) => {
    const { width, height } = context.canvas;
    const { left, right, rows, dark, light, grey } = geometry;
    const level = (v) => `rgb(${v},${v},${v})`;
    context.fillStyle = level(grey);
    context.fillRect(0, 0, width, height);
    const frame = n & 255;
    const word = ((number & 15) << 12) | ((~number & 15) << 8) | (frame ^ (frame >> 1));
    const bar = ((right - left) / 8) * width;
    for (let i = 0; i < 16; i++) {
      context.fillStyle = level((word >> (15 - i)) & 1 ? light : dark);
      const row = i < 8 ? 0 : 1;
      context.fillRect(left * width + (i % 8) * bar, rows[row] * height, bar + 1, (rows[row + 1] - rows[row]) * height);
    }
    context.fillStyle = `hsl(${number * 24} 60% 55%)`;
    context.fillRect(left * width, rows[2] * height, (right - left) * width, (rows[3] - rows[2]) * height);
  };

  /** A moving picture from a canvas, for what has no camera: a track and a way to stop it. */
  e2e.film = (number, { width = 320, height = 240, rate = 15 } = {}) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    let n = 0;
    const timer = setInterval(() => e2e.draw(context, number, n++), 1000 / rate);
    e2e.draw(context, number, n++);
    const track = canvas.captureStream(rate).getVideoTracks()[0];
    return { track, stop: () => (clearInterval(timer), track.stop()) };
  };

  const scratch = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
  const pixels = scratch.getContext('2d', { willReadFrequently: true });

  /** A video element's current picture as rows of luma. */
  const grab = (video) => {
    pixels.drawImage(video, 0, 0, scratch.width, scratch.height);
    return pixels.getImageData(0, 0, scratch.width, scratch.height).data;
  };

  /** Mean red, green and blue of a part of the picture, in parts of its width and height. */
  const mean = (rgba, x0, y0, x1, y1) => {
    const { width, height } = scratch;
    const sum = [0, 0, 0];
    let count = 0;
    for (let y = Math.floor(y0 * height); y < Math.ceil(y1 * height); y++) {
      for (let x = Math.floor(x0 * width); x < Math.ceil(x1 * width); x++) {
        const at = 4 * (y * width + x);
        for (let c = 0; c < 3; c++) sum[c] += rgba[at + c];
        count++;
      }
    }
    return sum.map((v) => v / count);
  };
  const luma = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;

  /**
   * What a video element shows now:
   * { kind: 'participant', number, frame }, { kind: 'firefox', rgb } (the fake camera of Firefox: one colour, which changes
   * all the time, with a stamp in a corner), { kind: 'black' }, { kind: 'other' } or { kind: 'none' }.
   */
  e2e.look = (video) => {
    if (video.readyState < 2 || video.videoWidth === 0) return { kind: 'none' };
    const rgba = grab(video);
    const { left, right, rows } = geometry;
    const bar = (right - left) / 8;
    let word = 0;
    let clear = true;
    for (let i = 0; i < 16; i++) {
      const row = i < 8 ? 0 : 1;
      const x = left + ((i % 8) + 0.5) * bar;
      const y = (rows[row] + rows[row + 1]) / 2;
      const v = luma(mean(rgba, x - 0.25 * bar, y - 0.06, x + 0.25 * bar, y + 0.06));
      if (Math.abs(v - geometry.grey) < 35) clear = false;
      word = (word << 1) | (v > geometry.grey ? 1 : 0);
    }
    const number = (word >> 12) & 15;
    if (clear && number === (~(word >> 8) & 15)) {
      let frame = word & 255;
      for (let shift = 4; shift > 0; shift >>= 1) frame ^= frame >> shift;
      return { kind: 'participant', number, frame };
    }
    const spots = [[0.5, 0.5], [0.9, 0.5], [0.5, 0.9], [0.1, 0.9], [0.9, 0.9]].map(([x, y]) =>
      mean(rgba, x - 0.04, y - 0.04, x + 0.04, y + 0.04));
    const spread = Math.max(...[0, 1, 2].map((c) =>
      Math.max(...spots.map((s) => s[c])) - Math.min(...spots.map((s) => s[c]))));
    const rgb = spots[0].map(Math.round);
    if (Math.max(...rgb) < 24 && spread < 12) return { kind: 'black' };
    if (spread < 14 && Math.max(...rgb) - Math.min(...rgb) > 40) return { kind: 'firefox', rgb };
    return { kind: 'other', rgb };
  };

  /** Plays a stream in an element of its own, muted, and gives the element. */
  e2e.play = (stream) => {
    const video = document.createElement('video');
    Object.assign(video, { srcObject: stream, muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
    e2e.kept.push(video);
    video.play().catch(() => {}); // a stream that is empty so far plays as soon as it has a track
    return video;
  };

  /**
   * Looks at a video element until it shows a participant ('firefox' or a number) and moves: at least `changes` different
   * pictures. Gives what was seen last.
   */
  e2e.recognise = async (video, who, { changes = 4, ms = 20000 } = {}) => {
    const seen = new Set();
    let last;
    const matches = (it) => (who === 'firefox' ? it.kind === 'firefox' : it.kind === 'participant' && it.number === who);
    const end = performance.now() + ms;
    while (performance.now() < end) {
      last = e2e.look(video);
      if (matches(last)) seen.add(String(last.frame ?? last.rgb));
      if (seen.size >= changes) return { ...last, changes: seen.size };
      await e2e.sleep(60);
    }
    throw new Error(`picture of ${who} not recognised in ${ms} ms: ${seen.size} pictures matched, last ${JSON.stringify(last)}`);
  };

  // ---- tones

  let audio;
  e2e.audioContext = async () => {
    audio ??= new AudioContext({ sampleRate: 48000 });
    if (audio.state !== 'running') await e2e.within(audio.resume(), 'the sound card');
    return audio;
  };

  /**
   * The strongest tone of a stream's sound over some time: { frequency, level (dB of its bin), above (dB above the median) }.
   * Chromium gives no samples of a remote stream to WebAudio unless an element plays it too (crbug.com/933677).
   */
  e2e.tone = async (stream, ms = 600) => {
    const context = await e2e.audioContext();
    const element = new Audio();
    element.srcObject = new MediaStream(stream.getAudioTracks());
    element.muted = true;
    await element.play().catch(() => {});
    const source = context.createMediaStreamSource(element.srcObject);
    const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    source.connect(analyser);
    await e2e.sleep(ms);
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    source.disconnect();
    element.srcObject = null;
    let peak = 1;
    for (let i = 1; i < bins.length; i++) if (bins[i] > bins[peak]) peak = i;
    const level = bins[peak];
    const median = bins.slice().sort()[bins.length >> 1];
    if (!Number.isFinite(level)) return { frequency: 0, level: -Infinity, above: 0 };
    return { frequency: (peak * context.sampleRate) / analyser.fftSize, level, above: level - Math.max(median, -200) };
  };

  /** Listens until the strongest tone is the expected one (within 15 Hz, 25 dB above the rest). */
  e2e.hear = async (stream, frequency, ms = 20000) => {
    const end = performance.now() + ms;
    let last;
    while (performance.now() < end) {
      if (stream.getAudioTracks().length > 0) {
        last = await e2e.tone(stream);
        if (Math.abs(last.frequency - frequency) < 15 && last.above > 25 && last.level > -60) return last;
      }
      await e2e.sleep(100);
    }
    throw new Error(`tone of ${frequency} Hz not heard in ${ms} ms: last ${JSON.stringify(last)}`);
  };

  /** Listens until there is silence. */
  e2e.hearNothing = async (stream, ms = 10000) => {
    let last;
    await e2e.until(async () => (last = await e2e.tone(stream, 300)).level < -70, 'silence', ms).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  };

  /**
   * Notes every new picture of a video element until stop(), which gives { rate, longestGapMs, stoodStillMs }: pictures a second, of the 15
   * that a camera here gives at least. The time since the last picture counts too, so that one that is frozen at the end is seen. So long
   * this page itself stood still at most: a machine that has no time for its clock has none for pictures.
   */
  e2e.watchGaps = (video) => {
    let frames = 0;
    const begin = performance.now();
    let last = begin;
    let longest = 0;
    let watching = true;
    const note = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    const tickMs = 20;
    let ticked = begin;
    let stoodStill = 0;
    const tick = () => {
      const now = performance.now();
      stoodStill = Math.max(stoodStill, now - ticked - tickMs);
      ticked = now;
    };
    const clock = setInterval(tick, tickMs);
    const onFrame = () => {
      if (!watching) return;
      note();
      frames++;
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    return () => {
      watching = false;
      clearInterval(clock);
      note();
      tick();
      return { rate: Math.round((10_000 * frames) / (last - begin)) / 10, longestGapMs: Math.round(longest), stoodStillMs: Math.round(stoodStill) };
    };
  };

  // ---- statistics

  /** All statistics of one type over the page's open connections. */
  e2e.statistics = async (type) => {
    const all = [];
    for (const connection of e2e.connections) {
      if (connection.connectionState === 'closed') continue;
      for (const s of (await e2e.within(connection.getStats(), 'statistics')).values()) if (s.type === type) all.push({ ...s });
    }
    return all;
  };

  /** What is received now, by the id of the receiving track: framesDecoded, packetsReceived, freezeCount … */
  e2e.received = async (track) => {
    for (const connection of e2e.connections) {
      const receiver = connection.getReceivers?.().find((r) => r.track === track || r.track?.id === track?.id);
      if (!receiver) continue;
      for (const s of (await receiver.getStats()).values()) if (s.type === 'inbound-rtp') return { ...s };
    }
    return undefined;
  };

  /** The selected candidate pair's protocol, types and addresses; undefined while there is none. */
  e2e.pathOf = async (connection) => {
    const stats = new Map((await connection.getStats()).entries());
    const selected = [...stats.values()].find((s) => s.type === 'transport')?.selectedCandidatePairId;
    for (const s of stats.values()) { // several pairs may be nominated; Firefox marks the one that is used, others name it
      if (s.type !== 'candidate-pair' || !(s.selected || s.id === selected)) continue;
      const local = stats.get(s.localCandidateId);
      const remote = stats.get(s.remoteCandidateId);
      return {
        protocol: local?.protocol, tcpType: remote?.tcpType, type: local?.candidateType, relayProtocol: local?.relayProtocol, local: local?.address,
        remoteType: remote?.candidateType, remote: remote?.address, port: remote?.port,
      };
    }
    return undefined;
  };

  /** The same of the page's first connected connection. */
  e2e.path = async () => {
    for (const connection of e2e.connections) {
      const path = connection.connectionState === 'connected' && (await e2e.pathOf(connection));
      if (path) return path;
    }
    return undefined;
  };
})();
