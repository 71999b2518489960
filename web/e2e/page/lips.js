// Runs in every page under test after page.js: a source of flashes and beeps, and an ear and an eye that tell how far apart
// they arrive.
'use strict';
(() => {
  const { e2e } = window;
  const period = 900; // ms between flashes
  const length = 120; // ms of a flash and its beep

  const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

  /**
   * A source whose picture turns white and whose sound beeps in one callback before a refresh of the screen, so that a busy
   * machine delays both. beepLate (ms) moves the sound, as a test of the detector. Gives { stream, stop }.
   */
  e2e.flashAndBeep = async ({ beepLate = 0, width = 160, height = 120 } = {}) => {
    const context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    await e2e.within(context.resume(), 'the sound card');
    const oscillator = new OscillatorNode(context, { frequency: 1000 });
    const gate = new GainNode(context, { gain: 0 });
    const out = context.createMediaStreamDestination();
    oscillator.connect(gate).connect(out);
    oscillator.start();
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const picture = canvas.getContext('2d');
    const stream = new MediaStream([...canvas.captureStream().getVideoTracks(), ...out.stream.getAudioTracks()]);
    let next = performance.now() + 500;
    let white = false;
    let running = true;
    let n = 0;
    const beep = () => {
      const at = context.currentTime + beepLate / 1000;
      gate.gain.setValueAtTime(0.5, at);
      gate.gain.setValueAtTime(0, at + length / 1000);
    };
    const paint = (now) => {
      if (!running) return;
      requestAnimationFrame(paint);
      const begins = now >= next;
      const ends = white && now >= next - period + length;
      if (begins) {
        beep();
        next = Math.max(next + period, now + period / 2); // a page that stood still makes up for nothing
      }
      if (!begins && !ends && n++ % 2) return; // 30 pictures a second, and one more for each change
      if (begins || ends) white = begins;
      picture.fillStyle = white ? 'white' : 'black';
      picture.fillRect(0, 0, width, height);
      picture.fillStyle = '#555'; // something moves always, so that frames keep flowing
      picture.fillRect(n % width, height - 4, 4, 4);
    };
    requestAnimationFrame(paint);
    const stop = () => {
      running = false;
      stream.getTracks().forEach((track) => track.stop());
      return context.close();
    };
    return { stream, stop };
  };

  const listener = `registerProcessor('onset', class extends AudioWorkletProcessor {
    quiet = 0;
    process([[samples]]) {
      const first = samples === undefined ? -1 : samples.findIndex((s) => Math.abs(s) > 0.05);
      if (first >= 0 && this.quiet > 0.2 * sampleRate) this.port.postMessage(currentFrame + first);
      this.quiet = first >= 0 ? 0 : this.quiet + 128;
      return true;
    }
  })`;
  let listenerAdded;

  /**
   * When a context's frames are heard: timeOf gives the time (ms, performance.now()) at which the card plays one. A single
   * reading jitters by the card's buffer, so it is the median of the readings within a second of the frame. Later ones do not
   * count: a card that a busy machine lets run dry goes on with the next frame later, so that frames and time move apart.
   */
  const card = (context) => {
    const readings = [];
    const read = () => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      if (performanceTime === 0) return;
      const begin = performanceTime - 1000 * contextTime;
      readings.push({ at: context.currentTime, begin, delay: 1000 * (context.currentTime - contextTime) });
    };
    const timer = setInterval(read, 50);
    const near = (at) => {
      const within = readings.filter((reading) => Math.abs(reading.at - at) < 1);
      return within.length > 0 ? within : readings.slice(-20);
    };
    return {
      timeOf: (at) => median(near(at).map((reading) => reading.begin)) + 1000 * at,
      delayOf: (at) => median(near(at).map((reading) => reading.delay)), // ms from a frame's making to its playing
      stop: () => clearInterval(timer),
    };
  };

  /** A worklet that tells the frame at which each sound of a stream begins. */
  const onsets = async (context, stream, found) => {
    const url = URL.createObjectURL(new Blob([listener], { type: 'text/javascript' }));
    await e2e.within((listenerAdded ??= context.audioWorklet.addModule(url)), 'the listener');
    const source = context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(context, 'onset');
    const silent = new GainNode(context, { gain: 0 });
    source.connect(node).connect(silent).connect(context.destination);
    node.port.onmessage = ({ data: frame }) => found(frame);
    return () => {
      for (const it of [source, node, silent]) it.disconnect();
      node.port.close();
    };
  };

  /** How much later (ms) a context hears a stream than an element would play it: a beep goes out of the context and in again. */
  const deafness = async (context) => {
    const out = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context, { frequency: 1000 });
    const gate = new GainNode(context, { gain: 0 });
    tone.connect(gate).connect(out);
    tone.start();
    let heard;
    const stop = await onsets(context, out.stream, (frame) => (heard ??= frame));
    await e2e.sleep(400); // the worklet wants silence first
    const at = context.currentTime + 0.1;
    gate.gain.setValueAtTime(0.5, at);
    try {
      await e2e.until(() => heard, 'an own beep');
    } finally {
      stop();
      tone.stop();
    }
    return 1000 * (heard / context.sampleRate - at);
  };

  /** The delay (ms) of the card for elements that play what connections receive; undefined where the browser does not tell. */
  const playoutDelay = async () => {
    const [playout] = await e2e.statistics('media-playout');
    return playout && (1000 * playout.totalPlayoutDelay) / playout.totalSamplesCount;
  };

  /**
   * Listens for beeps, as an element that plays the stream would let them be heard: times() gives when (ms, performance.now())
   * the card plays the begin of each, after silence.
   */
  const ear = async (stream) => {
    const context = await e2e.audioContext();
    const late = await deafness(context);
    const clock = card(context);
    const frames = [];
    const stopListening = await onsets(context, new MediaStream(stream.getAudioTracks()), (frame) => frames.push(frame));
    const times = async () => {
      const playout = await playoutDelay();
      return frames.map((frame) => {
        const at = frame / context.sampleRate;
        const extra = late + clock.delayOf(at) - (playout ?? clock.delayOf(at));
        return clock.timeOf(at) - extra;
      });
    };
    return { times, stop: () => (clock.stop(), stopListening()) };
  };

  const spot = Object.assign(document.createElement('canvas'), { width: 16, height: 12 });
  const pixels = spot.getContext('2d', { willReadFrequently: true });

  const isWhite = (video) => {
    pixels.drawImage(video, 0, 0, 16, 12);
    const rgba = pixels.getImageData(0, 0, 16, 9).data;
    let sum = 0;
    for (let i = 1; i < rgba.length; i += 4) sum += rgba[i];
    return sum / (rgba.length / 4) > 128;
  };

  /** Watches for flashes: times holds when (ms, performance.now()) each one is shown. */
  const eye = (video) => {
    const times = [];
    let white = false;
    let watching = true;
    const onFrame = (_, frame) => {
      if (!watching) return;
      const is = isWhite(video);
      if (is && !white) times.push(frame.expectedDisplayTime);
      white = is;
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    return { times, stop: () => (watching = false) };
  };

  /** How far each flash's beep is behind it, ms; flashes without a beep within half a period are left out. */
  const offsets = (flashes, beeps) => flashes
    .map((flash) => beeps.map((beep) => beep - flash).sort((a, b) => Math.abs(a) - Math.abs(b))[0])
    .filter((offset) => Math.abs(offset) < period / 2)
    .map(Math.round);

  /**
   * How far sound is behind the picture at each of the video elements, which are watched at the same time: after `settle` ms,
   * in which browsers move sound and picture together, over `flashes` of them. Positive: the sound is late.
   * Gives for each element { median, offsets }, ms.
   */
  e2e.lipSync = async (videos, { settle = 8000, flashes = 14 } = {}) => {
    await e2e.sleep(settle);
    const watched = await Promise.all(videos.map(async (video) => ({ ear: await ear(video.srcObject), eye: eye(video) })));
    await e2e.sleep(1000 + flashes * period);
    return Promise.all(watched.map(async ({ ear, eye }) => {
      ear.stop();
      eye.stop();
      const beeps = await ear.times();
      const all = offsets(eye.times, beeps);
      if (all.length < flashes - 3) throw new Error(`of ${flashes} flashes ${eye.times.length} seen, ${beeps.length} beeps heard`);
      return { median: median(all), offsets: all };
    }));
  };
})();
