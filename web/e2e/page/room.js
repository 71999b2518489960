// Runs in every page under test after page.js: takes part in a room through the SDK that the server gives.
'use strict';
(() => {
  const { e2e } = window;

  /** Joins a room and notes what happens there. */
  e2e.enter = async (options) => {
    const { join } = await import(`${location.origin}/sdk/parley.js`);
    const room = (e2e.room = await join({ url: location.origin, ...options }));
    e2e.chat = [];
    e2e.data = [];
    e2e.states = [];
    e2e.ended = [];
    room.addEventListener('message', (e) => e2e.chat.push({ from: e.message.from, text: e.message.text }));
    room.addEventListener('data', (e) => e2e.data.push({ from: e.from, data: e.data, reliable: e.reliable }));
    room.addEventListener('connectionstate', (e) => e2e.states.push(e.state));
    room.addEventListener('trackended', (e) => e2e.ended.push(`${e.subscription.participant.identity} ${e.subscription.source}`));
  };

  /** Camera and microphone; no clean-up touches the tone. */
  e2e.openCamera = async () => {
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    e2e.camera = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 }, audio });
  };

  /** Publishes a stream; e2e.published holds the publications by source. */
  e2e.publish = async (stream, options) => {
    e2e.published ??= {};
    for (const publication of await e2e.room.publish(stream, options)) e2e.published[publication.source] = publication;
  };

  const find = (identity, source) =>
    [...(e2e.room.participants.get(identity)?.publications.values() ?? [])].find((p) => p.source === source);

  /** Somebody's publication, once it is known here. */
  e2e.publication = (identity, source, ms = 20000) => e2e.until(() => find(identity, source), `${source} of ${identity}`, ms);

  /** Somebody's subscription, once a track fills it. */
  e2e.subscription = async (identity, source, ms = 20000) => {
    const { subscription } = await e2e.publication(identity, source, ms);
    const what = () => `track of ${identity}'s ${source} (status ${subscription.status})`;
    await e2e.until(() => subscription.mediaStreamTrack, 'a track', ms).catch(() => {
      throw new Error(`${what()}: not within ${ms} ms`);
    });
    return subscription;
  };

  const tiles = new Map();

  /** The element that shows somebody's camera or screen here; always the same one. */
  e2e.tile = async (identity, source = 'camera') => {
    const key = `${identity} ${source}`;
    if (!tiles.has(key)) {
      const subscription = await e2e.subscription(identity, source);
      const video = Object.assign(document.createElement('video'), { muted: true, width: 320 });
      document.body.append(video);
      subscription.attach(video);
      tiles.set(key, video);
    }
    return tiles.get(key);
  };

  /** Waits until somebody's picture is seen here, moves, and its count of decoded frames grows. */
  e2e.see = async (identity, who, { source = 'camera', ms = 30000 } = {}) => {
    const seen = await e2e.recognise(await e2e.tile(identity, source), who, { ms });
    const subscription = await e2e.subscription(identity, source);
    const decoded = async () => (await subscription.stats())?.framesDecoded ?? 0;
    const first = await decoded();
    await e2e.until(async () => (await decoded()) > first + 3, `more decoded frames of ${identity} than ${first}`);
    return { ...seen, framesDecoded: await decoded(), codec: (await subscription.stats()).codec };
  };

  /** Waits until somebody's tone is heard here. */
  e2e.listen = async (identity, frequency, ms = 30000) => e2e.hear((await e2e.subscription(identity, 'microphone')).stream, frequency, ms);
})();
