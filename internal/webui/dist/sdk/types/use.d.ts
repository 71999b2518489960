import type { Subscribe } from "./wire.gen.js";
/** What an application, or the place of a picture, says of a subscription. */
export interface Use {
    /** Of the picture on the screen; 0: as large as it gets. */
    readonly width: number;
    readonly height: number;
    /** What matters more where the network cannot carry everything: 0 to 255. */
    readonly priority: number;
    readonly paused: boolean;
}
export declare const defaultUse: Use;
/** What differs, as the server is told; undefined: nothing. */
export declare function difference(told: Use, now: Use): Partial<Omit<Subscribe, "publications" | "subscribed">> | undefined;
/** Whoever carries the news to the server. */
export type Tell = (change: Partial<Omit<Subscribe, "publications" | "subscribed">>) => Promise<void>;
/** Tells the server how a subscription is used: at once, then not too often. */
export declare class Teller {
    #private;
    constructor(tell: Tell);
    get use(): Use;
    /** A new subscription on the server's side: nothing of this one has been told. */
    begin(): void;
    prefer(use: Partial<Pick<Use, "width" | "height" | "priority">>): void;
    /** The application's own pause. */
    pause(paused: boolean): void;
    /** Whether anybody can see it. */
    see(seen: boolean): void;
    close(): void;
}
