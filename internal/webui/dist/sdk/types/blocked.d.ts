/** What this needs of a media element. */
export interface Playable {
    readonly srcObject: unknown;
    play(): Promise<void>;
}
/** Whether a play() was refused for want of a user's gesture, rather than given up for another reason. */
export declare const isRefused: (reason: unknown) => boolean;
/** The elements that the browser has refused to play. */
export declare class BlockedElements {
    #private;
    /** Allowed is called whenever the last of them plays. */
    constructor(allowed: () => void);
    add(element: Playable): void;
    tryAgain(): Promise<void>;
}
