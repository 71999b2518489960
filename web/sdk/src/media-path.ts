// What the packets of a connection travel over.

/** To the other side by itself ("udp", "tcp"), or by way of a TURN server, which is reached over what is named behind the slash. */
export type MediaPath = "udp" | "tcp" | "turn/udp" | "turn/tcp" | "turn/tls";

/** The path of the nominated pair in a connection's statistics; undefined while there is none. */
export function mediaPathOf(report: RTCStatsReport): MediaPath | undefined {
  const local: unknown = report.get(selectedPair(report)?.localCandidateId ?? "");
  if (typeof local !== "object" || local === null || !("protocol" in local)) return undefined;
  if ("candidateType" in local && local.candidateType === "relay") {
    const way = "relayProtocol" in local ? local.relayProtocol : undefined;
    return way === "tls" ? "turn/tls" : way === "tcp" ? "turn/tcp" : "turn/udp";
  }
  return local.protocol === "tcp" ? "tcp" : "udp";
}

type Pair = RTCIceCandidatePairStats & { readonly selected?: boolean };

/** The nominated pair. Firefox marks the pair, others name it in the transport's statistics. */
export function selectedPair(report: RTCStatsReport): Pair | undefined {
  const all: RTCStats[] = [...report.values()];
  const transport = all.find((s): s is RTCTransportStats => s.type === "transport");
  const isPair = (s: RTCStats): s is Pair => s.type === "candidate-pair";
  return all.filter(isPair).find((p) => p.id === transport?.selectedCandidatePairId || p.selected === true);
}
