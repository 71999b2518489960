// What /doctor has found out, in words for the person at this browser: what it is, and the next step where something is wrong.

export type Level = "ok" | "note" | "warning" | "fault";

export interface Finding {
  /** What was looked at: a word or two. */
  readonly area: string;
  readonly level: Level;
  readonly text: string;
  /** What to do; empty where nothing is wrong. */
  readonly next: string;
}

/** Between a number and its unit, where no line ends. */
export const gap = "\u00a0";

/** A way for media to the server. */
export type Way = "udp" | "tcp";

/** What counts of a candidate (RFC 8839). */
export interface Candidate {
  readonly type: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /** Where a reflexive one comes from, unless the browser hides it: address and port. */
  readonly base: string | undefined;
}

/** What a connection has measured. */
export interface Measured {
  /** Round-trip time in milliseconds; undefined: not measured. */
  readonly rtt: number | undefined;
  /** How long connecting took, in milliseconds. */
  readonly took: number;
}

/** An answer with the server's candidates of one protocol alone. */
export function answerBy(answer: string, way: Way): string {
  const isOther = (line: string): boolean => line.startsWith("a=candidate:") && line.split(" ")[2]?.toLowerCase() !== way;
  return answer
    .split("\r\n")
    .filter((line) => !isOther(line))
    .join("\r\n");
}

/** The finding about media to the server by UDP or TCP; undefined: they did not connect. */
export function wayFinding(way: Way, measured: Measured | undefined): Finding {
  const area = way === "udp" ? "UDP" : "TCP";
  if (measured) return { area, level: "ok", text: `Media reach the server by ${area}${times(measured)}.`, next: "" };
  if (way === "udp") {
    return {
      area,
      level: "warning",
      text: "Media do not reach the server by UDP.",
      next: "A firewall in your network blocks it. Calls still work by TCP or a relay, less smoothly: try another network, or ask whoever runs yours to allow UDP.",
    };
  }
  return { area, level: "warning", text: "Media do not reach the server by TCP.", next: "Nothing, while UDP works: TCP is for networks that block it." };
}

/** The finding about a relay, by what its URL says that leads there; undefined: no connection went through. */
export function relayFinding(url: string, measured: Measured | undefined): Finding {
  const by = url.startsWith("turns:") ? "TLS" : url.endsWith("transport=tcp") ? "TCP" : "UDP";
  const area = `Relay, ${by}`;
  if (measured) return { area, level: "ok", text: `A connection goes through the relay by ${by}${times(measured)}.`, next: "" };
  return {
    area,
    level: "warning",
    text: `No connection goes through the relay by ${by}.`,
    next: "Nothing, while another way works. If none does, ask whoever runs your network to let this site through.",
  };
}

function times({ rtt, took }: Measured): string {
  const away = rtt === undefined ? "" : `, ${Math.max(1, Math.round(rtt))}${gap}ms there and back`;
  return `${away}, connected in ${Math.round(took)}${gap}ms`;
}

/** The last word on connections: of UDP, TCP and the relays, is there any? */
export function reachFinding(findings: readonly Finding[]): Finding | undefined {
  const ways = findings.filter(({ area }) => area === "UDP" || area === "TCP" || area.startsWith("Relay"));
  if (ways.length === 0 || ways.some(({ level }) => level === "ok")) return undefined;
  return {
    area: "Media",
    level: "fault",
    text: "Media reach the server by no way.",
    next: "Your network lets web pages through and nothing else. Try another network, such as a phone's, or ask whoever runs yours to allow UDP to this server.",
  };
}

/** The finding about what this browser can encode and decode, by the names of codecs. */
export function codecFinding(sends: readonly string[], receives: readonly string[]): Finding {
  const both = [...new Set(sends)].filter((name) => receives.includes(name));
  const shown = both.length > 0 ? both.join(", ") : "none";
  const missing = ["VP8", "opus"].filter((name) => !both.includes(name));
  if (missing.length === 0) return { area: "Codecs", level: "ok", text: `This browser sends and receives ${shown}.`, next: "" };
  return {
    area: "Codecs",
    level: "fault",
    text: `This browser sends and receives ${shown}, and not ${missing.join(" nor ")}.`,
    next: "Use a current Chromium, Firefox or Safari: everybody in a call has to understand each other.",
  };
}

/** What five seconds of video to the server and back have brought. */
export interface Bandwidth {
  readonly bitsPerSecond: number;
  /** From 0 to 1. */
  readonly lost: number;
}

export function bandwidthFinding({ bitsPerSecond, lost }: Bandwidth): Finding {
  const area = "Bandwidth";
  const percent = lost < 0.0005 ? "nothing" : `${(lost * 100).toFixed(1)}${gap}%`;
  const text = `${(bitsPerSecond / 1e6).toFixed(2)}${gap}Mbit/s of video went to the server and back; ${percent} was lost.`;
  const next = `Go nearer to the Wi-Fi, use a cable, or end downloads in your network. Voices come first: they need 0.05${gap}Mbit/s.`;
  if (bitsPerSecond < 50_000) return { area, level: "fault", text, next };
  if (bitsPerSecond < 300_000 || lost > 0.05) return { area, level: "warning", text, next };
  return { area, level: "ok", text, next: "" };
}

/**
 * What the NAT does, by what two ports of the server see of one socket. With one address a server can tell a mapping that depends on the
 * port, as symmetric NATs have it, and no more.
 */
export function natFinding(candidates: readonly Candidate[], hasUDP: boolean): Finding {
  const area = "NAT";
  const udp = candidates.filter(({ protocol }) => protocol === "udp");
  const seen = udp.filter(({ type }) => type === "srflx");
  const hosts = udp.filter(({ type }) => type === "host");
  if (seen.length === 0) {
    return hasUDP
      ? { area, level: "ok", text: "There is no NAT between you and the server.", next: "" }
      : { area, level: "note", text: "What the NAT does is not known without UDP.", next: "" };
  }
  const isHidden = seen.some(({ base }) => base === undefined);
  const of = new Map<string, Set<string>>();
  for (const { base = "hidden", address, port } of seen) of.set(base, (of.get(base) ?? new Set()).add(`${address}:${port}`));
  const isSymmetric = [...of.values()].some((addresses) => addresses.size > 1);
  const addresses = [...new Set(seen.map(({ address }) => address))].join(", ");
  if (!isSymmetric) return { area, level: "ok", text: `You are seen as ${addresses}, by one port for all: direct connections to others are likely.`, next: "" };
  if (isHidden && hosts.length > 1) return { area, level: "note", text: `You are seen as ${addresses}; whether by one port for all, this browser hides.`, next: "" };
  return {
    area,
    level: "note",
    text: `You are seen as ${addresses}, by another port from each place (symmetric NAT): direct connections to others are unlikely.`,
    next: "Nothing: calls go through the server, and what does not is relayed.",
  };
}

/** The answer to "and now?". */
export function verdictOf(findings: readonly Finding[]): string {
  if (findings.some(({ level }) => level === "fault")) return "Calls will not work from here as it is.";
  if (findings.some(({ level }) => level === "warning")) return "Calls work from here, with limits.";
  return "Calls work from here.";
}
