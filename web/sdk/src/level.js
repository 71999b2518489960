// Loudness, and from it who speaks.
/** Level is linear, 0 to 1, as in getSynchronizationSources. About −34 dBFS: louder than a quiet room, softer than talk. */
const speakingLevel = 0.02;
const silentLevel = 0.01;
/** Pauses between words do not count. */
const holdMs = 600;
/** Decides whether somebody speaks, without flicker. */
export class SpeakingDetector {
    #speaking = false;
    #loudAt = 0;
    get speaking() {
        return this.#speaking;
    }
    /** Takes the level at a time; true where the decision has changed. */
    update(level, nowMs) {
        const loud = level >= (this.#speaking ? silentLevel : speakingLevel);
        if (loud)
            this.#loudAt = nowMs;
        const speaking = loud || (this.#speaking && nowMs - this.#loudAt < holdMs);
        const changed = speaking !== this.#speaking;
        this.#speaking = speaking;
        return changed;
    }
}
let context;
/** Measures a track with an analyser, where the browser does not tell its level. */
export class LevelMeter {
    #source;
    #analyser;
    #samples;
    constructor(track) {
        context ??= new AudioContext();
        this.#analyser = context.createAnalyser();
        this.#analyser.fftSize = 1024;
        this.#samples = new Float32Array(this.#analyser.fftSize);
        this.#source = context.createMediaStreamSource(new MediaStream([track]));
        this.#source.connect(this.#analyser);
    }
    level() {
        // Asking before the user has done anything would only fill the console with warnings.
        if (context?.state === "suspended" && navigator.userActivation?.hasBeenActive !== false) {
            void context.resume().catch(() => undefined);
        }
        this.#analyser.getFloatTimeDomainData(this.#samples);
        let sum = 0;
        for (const sample of this.#samples)
            sum += sample * sample;
        return Math.min(1, Math.sqrt(sum / this.#samples.length));
    }
    close() {
        this.#source.disconnect();
    }
}
/** The level that the receiver tells; undefined where it tells none. */
export function receivedLevel(receiver, nowMs) {
    const source = receiver.getSynchronizationSources()[0];
    if (!source)
        return 0;
    if (nowMs - source.timestamp > 500)
        return 0; // nothing arrives
    return source.audioLevel;
}
//# sourceMappingURL=level.js.map