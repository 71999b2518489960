// Runs in pages of the app whose pictures are taken, after app.js and the drawings of web/app/dev/pictures.ts: drawn people in
// place of cameras, a drawn document in place of screens, and a voice that speaks when it is told to.
'use strict';
(() => {
  const { e2e } = window;
  const paintMs = 100;

  /** A moving picture that is painted although its tab is hidden. */
  const film = (draw, width, height) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    const track = new MediaStreamTrackGenerator({ kind: 'video' });
    const writer = track.writable.getWriter();
    let n = 0;
    const timer = setInterval(() => {
      if (track.readyState === 'ended') return clearInterval(timer);
      draw(context, n++);
      void writer.write(new VideoFrame(canvas, { timestamp: performance.now() * 1000 })).catch(() => {});
    }, paintMs);
    return track;
  };

  let volume;
  /** A noise that swells four times a second, as speech does. */
  const voice = () => {
    const context = new AudioContext();
    const noise = new AudioBuffer({ length: context.sampleRate, sampleRate: context.sampleRate });
    const samples = noise.getChannelData(0);
    for (let i = 0; i < samples.length; i++) samples[i] = (Math.random() - 0.5) * Math.abs(Math.sin((4 * Math.PI * i) / samples.length)) * 0.8;
    const source = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
    volume = new GainNode(context, { gain: 0 });
    const out = context.createMediaStreamDestination();
    source.connect(volume).connect(out);
    source.start();
    return out.stream.getAudioTracks()[0];
  };

  e2e.speak = (loud) => (volume.gain.value = loud ? 0.3 : 0);

  /** What this page's devices are from now on: a drawn person's. */
  e2e.beFilmed = (number) => {
    const devices = navigator.mediaDevices;
    devices.getUserMedia = async ({ audio, video }) => new MediaStream([
      ...(audio ? [voice()] : []),
      ...(video ? [film((context, n) => drawPerson(context, number, n), 960, 540)] : []),
    ]);
    devices.getDisplayMedia = async () => {
      const screen = film((context) => drawDocument(context), 1280, 720);
      screen.getSettings = () => ({ displaySurface: 'monitor' }); // by which screens are told from cameras
      return new MediaStream([screen]);
    };
    const names = { audioinput: 'Built-in microphone', videoinput: 'Built-in camera', audiooutput: 'Built-in speakers' };
    devices.enumerateDevices = async () => Object.entries(names).map(([kind, label]) => ({ kind, label, deviceId: kind, groupId: '' }));
  };

  /** Every tile with a camera shows a sharp picture, and none is held for want of bandwidth. */
  e2e.allSharp = (count, width) => {
    const videos = [...document.querySelectorAll('.tile:not(.share) video')];
    return videos.length === count && videos.every((video) => video.videoWidth >= width) && !document.querySelector('.tile .over-picture');
  };
})();
