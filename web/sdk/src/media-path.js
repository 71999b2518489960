// What the packets of a connection travel over.
/** The path of the nominated pair in a connection's statistics; undefined while there is none. */
export function mediaPathOf(report) {
    const local = report.get(selectedPair(report)?.localCandidateId ?? "");
    if (typeof local !== "object" || local === null || !("protocol" in local))
        return undefined;
    if ("candidateType" in local && local.candidateType === "relay") {
        const way = "relayProtocol" in local ? local.relayProtocol : undefined;
        return way === "tls" ? "turn/tls" : way === "tcp" ? "turn/tcp" : "turn/udp";
    }
    return local.protocol === "tcp" ? "tcp" : "udp";
}
/** The nominated pair. Firefox marks the pair, others name it in the transport's statistics. */
export function selectedPair(report) {
    const all = [...report.values()];
    const transport = all.find((s) => s.type === "transport");
    const isPair = (s) => s.type === "candidate-pair";
    return all.filter(isPair).find((p) => p.id === transport?.selectedCandidatePairId || p.selected === true);
}
//# sourceMappingURL=media-path.js.map