/** To the other side by itself ("udp", "tcp"), or by way of a TURN server, which is reached over what is named behind the slash. */
export type MediaPath = "udp" | "tcp" | "turn/udp" | "turn/tcp" | "turn/tls";
/** The path of the nominated pair in a connection's statistics; undefined while there is none. */
export declare function mediaPathOf(report: RTCStatsReport): MediaPath | undefined;
type Pair = RTCIceCandidatePairStats & {
    readonly selected?: boolean;
};
/** The nominated pair. Firefox marks the pair, others name it in the transport's statistics. */
export declare function selectedPair(report: RTCStatsReport): Pair | undefined;
export {};
