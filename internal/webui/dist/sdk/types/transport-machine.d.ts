/** What is known of the path. */
export type Path = "new" | "connected" | "shaky" | "broken";
export type TransportState = {
    readonly at: "idle";
    readonly path: Path;
} | {
    readonly at: "offering";
    readonly path: Path;
    readonly again: boolean;
    readonly restart: boolean;
} | {
    readonly at: "over";
    readonly why: "closed" | "lost";
};
export type Happening = {
    readonly is: "changed";
} | {
    readonly is: "answered";
} | {
    readonly is: "refused";
    readonly usable: boolean;
    readonly passing: boolean;
} | {
    readonly is: "ice";
    readonly state: RTCIceConnectionState;
} | {
    readonly is: "network";
} | {
    readonly is: "dtls-failed";
} | {
    readonly is: "server";
    readonly state: string;
} | {
    readonly is: "waited";
} | {
    readonly is: "close";
};
export type Action = {
    readonly do: "offer";
    readonly restart: boolean;
} | {
    readonly do: "alarm";
    readonly afterMs: number;
} | {
    readonly do: "no-alarm";
} | {
    readonly do: "tell";
    readonly path: Path;
} | {
    readonly do: "replace";
};
/** How long ICE may stay disconnected before it is restarted. Browsers have waited for seconds before they call it that. */
export declare const patienceMs = 1000;
/** How long a path may take to come up before it is tried anew. */
export declare const connectMs = 15000;
export declare const initial: TransportState;
type Step = readonly [TransportState, readonly Action[]];
export declare function step(state: TransportState, happening: Happening): Step;
export {};
