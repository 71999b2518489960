// Small decisions about names and times on screen.

/** One or two letters for a face that is not shown. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/u).filter((w) => /^[\p{L}\p{N}]/u.test(w));
  const [first = "", last = ""] = [words[0] ?? "", words.length > 1 ? (words.at(-1) ?? "") : ""];
  const letters = [...first].slice(0, 1).concat([...last].slice(0, 1)).join("");
  return letters === "" ? "?" : letters.toLocaleUpperCase();
}

/** A hue, 0 to 359, that stays with an identity. */
export function hueOf(identity: string): number {
  let hash = 2166136261;
  for (const character of identity) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619) >>> 0;
  return (Math.imul(hash ^ (hash >>> 15), 2246822519) >>> 0) % 360;
}

/** "Ann", "Ann and Bob", "Ann, Bob and 2 others". */
export function listNames(names: readonly string[]): string {
  const [first = "", second = ""] = names;
  if (names.length <= 1) return first;
  if (names.length === 2) return `${first} and ${second}`;
  return `${first}, ${second} and ${names.length - 2} ${names.length === 3 ? "other" : "others"}`;
}

/** "850 kbit/s", "2.4 Mbit/s". */
export function bitrateText(bitsPerSecond: number): string {
  if (bitsPerSecond >= 999_500) return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}
