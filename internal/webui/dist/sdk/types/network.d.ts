import type { MediaPath } from "./media-path.js";
/** Tells when packets that came steadily come no more. That may mean nothing: everybody may have fallen silent. */
export declare class StallDetector {
    #private;
    /** Takes the time of the newest packet; true where the path has stalled, once. */
    update(newestMs: number, nowMs: number): boolean;
}
/**
 * Tells when to look for a better path: what blocked UDP may have been for a moment, or of another network, and ICE does not look again
 * by itself. It is asked every few seconds.
 */
export declare class UpgradeClock {
    #private;
    /** Takes the path that media travel by now; true where ICE should begin again. */
    isDue(path: MediaPath | undefined, nowMs: number): boolean;
}
/** Calls back where the browser says that the network has become another one. */
export declare function watchNetwork(changed: () => void, signal: AbortSignal): void;
