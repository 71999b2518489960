// "You are muted": said when somebody speaks into a microphone that is switched off.

import { effect, signal } from "@preact/signals";
import type { Capture } from "./capture.js";
import { Meter } from "./meter.js";

const lookMs = 100;
const loud = 0.05; // louder than a quiet room or a keyboard
const loudLooks = 6; // of the last looksKept
const looksKept = 12;
const showMs = 5_000;
const restMs = 30_000; // no second time so soon

export const speakingWhileMuted = signal(false);

/** Listens until the returned function is called. */
export function watchMutedSpeech(microphone: Capture): () => void {
  let stop: () => void = () => undefined;
  const dispose = effect(() => {
    stop();
    stop = () => undefined;
    const state = microphone.state.value;
    if (microphone.on.value || state.is !== "live") speakingWhileMuted.value = false;
    else stop = listen(state.track);
  });
  return () => {
    dispose();
    stop();
    speakingWhileMuted.value = false;
  };
}

function listen(track: MediaStreamTrack): () => void {
  const meter = new Meter(track);
  let looks: boolean[] = [];
  let shownAt = -Infinity;
  const interval = setInterval(() => {
    const now = performance.now();
    looks = [...looks, meter.level() > loud].slice(-looksKept);
    if (looks.filter(Boolean).length >= loudLooks && now - shownAt > restMs) {
      shownAt = now;
      speakingWhileMuted.value = true;
    }
    if (now - shownAt > showMs) speakingWhileMuted.value = false;
  }, lookMs);
  return () => {
    clearInterval(interval);
    meter.close();
  };
}
