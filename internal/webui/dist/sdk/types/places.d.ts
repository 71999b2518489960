/** Width and height, in whichever pixels. */
export interface Box {
    readonly width: number;
    readonly height: number;
}
/**
 * The size that a picture should have for a place of `box` CSS pixels. A picture that is shown whole leaves bars at its sides; one
 * that covers its place is larger than that.
 */
export declare function wantedSize(box: Box, picture: Box | undefined, covers: boolean, pixelRatio: number): Box;
/** The places of one picture: the video elements that it is attached to. */
export declare class Places {
    #private;
    constructor(changed: () => void);
    add(element: HTMLVideoElement): void;
    remove(element: HTMLVideoElement): void;
    /** The largest that somebody can see; undefined where nobody can. */
    get size(): Box | undefined;
    close(): void;
}
