/** Tells when packets that came steadily come no more. That may mean nothing: everybody may have fallen silent. */
export declare class StallDetector {
    #private;
    /** Takes the time of the newest packet; true where the path has stalled, once. */
    update(newestMs: number, nowMs: number): boolean;
}
/** Calls back where the browser says that the network has become another one. */
export declare function watchNetwork(changed: () => void, signal: AbortSignal): void;
