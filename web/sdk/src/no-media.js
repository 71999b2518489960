// Why media may not come although the server talks: which ports and addresses of it did not answer, and what to do about it.
import { MediaError } from "./errors.js";
/** The error that tells it, from the answer's candidates (RFC 8839 §5.1). */
export function noMedia(answer) {
    const candidates = [...answer.matchAll(/^a=candidate:\S+ \d+ (udp|tcp) \d+ (\S+) (\d+) typ /gim)];
    const unique = (part) => [...new Set(candidates.map((c) => c[part] ?? ""))];
    const [protocols, addresses, ports] = [unique(1).map((p) => p.toUpperCase()), unique(2), unique(3)];
    const where = ports.length === 0 ? "UDP" : `${protocols.join(" and ")} ${ports.length === 1 ? "port" : "ports"} ${ports.join(", ")}`;
    const at = addresses.length === 0 ? "" : ` at ${addresses.join(", ")}`;
    return new MediaError("no-media", `The server answers, but media do not get through to ${where}${at}.`, {
        next: `A firewall or a VPN may block ${where}: try without it, or from another network. If nobody gets through, whoever runs the ` +
            "server may have to give its public address with --advertise.",
    });
}
//# sourceMappingURL=no-media.js.map