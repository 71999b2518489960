// How loud a microphone is, also while its track is muted: a clone of the track is measured.

let context: AudioContext | undefined;

export class Meter {
  readonly #track: MediaStreamTrack;
  readonly #source: MediaStreamAudioSourceNode;
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(track: MediaStreamTrack) {
    context ??= new AudioContext();
    this.#track = track.clone();
    this.#track.enabled = true;
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = context.createMediaStreamSource(new MediaStream([this.#track]));
    this.#source.connect(this.#analyser);
  }

  /** Linear, 0 to 1. */
  level(): number {
    if (context?.state === "suspended") void context.resume().catch(() => undefined);
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.min(1, Math.sqrt(sum / this.#samples.length));
  }

  close(): void {
    this.#source.disconnect();
    this.#track.stop();
  }
}

/** A level as a part of a meter's length: quiet speech is in the middle. */
export function meterLength(level: number): number {
  if (level <= 0.001) return 0;
  return Math.min(1, Math.max(0, (20 * Math.log10(level) + 60) / 54));
}
