// Raised hands: identities in the order in which they were raised.

/** Of those who are in the room, each once. */
export function raisedHands(list: readonly string[], present: ReadonlySet<string>): readonly string[] {
  return [...new Set(list)].filter((identity) => present.has(identity));
}

/** The hands that are nobody's who is here. */
export function handsLeft(list: readonly string[], present: ReadonlySet<string>): readonly string[] {
  return [...new Set(list)].filter((identity) => !present.has(identity));
}

/** Which hand somebody's is, from 1; 0: it is not raised. */
export function placeOf(hands: readonly string[], identity: string): number {
  return hands.indexOf(identity) + 1;
}

/** Those with a raised hand first, in their order; the others stay as they are. */
export function handsFirst<P extends { readonly hand: number }>(people: readonly P[]): readonly P[] {
  const place = ({ hand }: P): number => (hand > 0 ? hand : Number.MAX_SAFE_INTEGER);
  return [...people].sort((a, b) => place(a) - place(b));
}
