/** Decides whether somebody speaks, without flicker. */
export declare class SpeakingDetector {
    #private;
    get speaking(): boolean;
    /** Takes the level at a time; true where the decision has changed. */
    update(level: number, nowMs: number): boolean;
}
/** Measures a track with an analyser, where the browser does not tell its level. */
export declare class LevelMeter {
    #private;
    constructor(track: MediaStreamTrack);
    level(): number;
    close(): void;
}
/** The level that the receiver tells; undefined where it tells none. */
export declare function receivedLevel(receiver: RTCRtpReceiver, nowMs: number): number | undefined;
