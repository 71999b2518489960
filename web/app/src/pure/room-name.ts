// Names of rooms: suggested ones that can be said over the phone, and typed ones made fit for an address.

/** Bytes of a room's name that the server takes (limits.maxNameBytes). */
const maxBytes = 128;

const manners = [
  "amber", "brave", "bright", "calm", "clear", "clever", "cosy", "crisp", "early", "eager", "fair", "fresh", "gentle", "glad",
  "golden", "green", "happy", "honest", "jolly", "keen", "kind", "light", "lively", "lucky", "merry", "mild", "neat", "noble",
  "polite", "proud", "quick", "quiet", "rapid", "silver", "smart", "smooth", "snowy", "soft", "steady", "sunny", "sweet", "swift",
  "tidy", "vivid", "warm", "wise", "witty", "young",
];
const beings = [
  "badger", "bear", "beaver", "bison", "camel", "crane", "deer", "dolphin", "dove", "eagle", "falcon", "ferret", "finch", "fox",
  "gecko", "goose", "hare", "hawk", "heron", "horse", "ibex", "jay", "koala", "lark", "lemur", "llama", "lynx", "magpie", "marten",
  "mole", "moose", "newt", "orca", "otter", "owl", "panda", "puffin", "rabbit", "raven", "robin", "seal", "sparrow", "squirrel",
  "stork", "swan", "tiger", "turtle", "wren",
];
const places = [
  "arbor", "bay", "beach", "bridge", "brook", "canyon", "cliff", "coast", "cove", "creek", "dale", "delta", "dune", "field",
  "forest", "garden", "glade", "grove", "harbor", "hill", "island", "lagoon", "lake", "lane", "marsh", "meadow", "mill", "moor",
  "orchard", "park", "path", "peak", "pier", "plain", "pond", "prairie", "quay", "reef", "ridge", "river", "shore", "spring",
  "stream", "trail", "valley", "village", "willow", "wood",
];

/** Three words, as "calm-otter-bridge". random returns numbers in [0, 1). */
export function suggestRoom(random: () => number = Math.random): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? words[0] ?? "";
  return [pick(manners), pick(beings), pick(places)].join("-");
}

/** A typed name, or an address that was pasted in its place, as the name of a room. Empty: it has nothing that could be one. */
export function roomFrom(typed: string): string {
  const address = /^[a-z]+:\/\/[^/]+\/r\/([^/?#]+)/i.exec(typed.trim());
  const name = address ? decode(address[1] ?? "") : typed;
  const room = truncate(name.normalize("NFC").replace(/[\p{Cc}\p{Cf}/\\?#%]+/gu, " ").trim().replace(/\s+/g, "-").toLowerCase());
  return room === "." || room === ".." ? "" : room; // in an address they are a way to another page, however they are written
}

/** The room that a path of this app names; undefined: none. */
export function roomOfPath(path: string): string | undefined {
  const match = /^\/r\/([^/]+)\/?$/.exec(path);
  const room = match ? decode(match[1] ?? "") : "";
  return room === "" ? undefined : room;
}

export function pathOfRoom(room: string): string {
  return `/r/${encodeURIComponent(room)}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Whether the server would refuse a room because of the length of its name. */
export function isTooLong(room: string): boolean {
  return new TextEncoder().encode(room).length > maxBytes;
}

function truncate(name: string): string {
  const encoder = new TextEncoder();
  let [kept, bytes] = ["", 0];
  for (const character of name) {
    bytes += encoder.encode(character).length;
    if (bytes > maxBytes) break;
    kept += character;
  }
  return kept.replace(/-+$/, "");
}
