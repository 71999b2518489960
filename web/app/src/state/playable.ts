// Tracks of one's own as something that plays.

import type { Playable } from "./call.js";

const known = new WeakMap<MediaStreamTrack, Playable>();

/** The same object for the same track, so that an element that plays it is left alone. */
export function trackPlayable(track: MediaStreamTrack): Playable {
  const before = known.get(track);
  if (before) return before;
  const stream = new MediaStream([track]);
  const playable: Playable = {
    attach(element) {
      element.srcObject = stream;
      void element.play().catch(() => undefined); // a preview makes no sound, so browsers let it play
      return () => {
        if (element.srcObject === stream) element.srcObject = null;
      };
    },
  };
  known.set(track, playable);
  return playable;
}
