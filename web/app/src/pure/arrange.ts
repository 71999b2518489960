// What is shown where: everyone in a grid, or one thing large with the faces beside it.

export type Key = string;

export interface Item {
  readonly key: Key;
  readonly isLocal: boolean;
  readonly isShare: boolean;
}

export type Arrangement<I extends Item> =
  /** floating: one's own face in a corner, where there is only one other. */
  | { readonly is: "grid"; readonly tiles: readonly I[]; readonly floating: I | undefined }
  | { readonly is: "stage"; readonly stage: I; readonly strip: readonly I[] };

export const shareKey = (identity: string, share: string): Key => `${identity}/${share}`;

/**
 * A pinned tile is large, else the newest screen, else in the speaker view whoever is featured, else nothing is. Items come in the
 * order in which they appeared.
 */
export function arrange<I extends Item>(items: readonly I[], pinned: Key, featured: Key): Arrangement<I> {
  const stage = items.find((i) => i.key === pinned) ?? items.findLast((i) => i.isShare) ?? items.find((i) => i.key === featured);
  if (stage && items.length > 1) return { is: "stage", stage, strip: items.filter((i) => i !== stage) };
  const floating = items.length === 2 ? items.find((i) => i.isLocal) : undefined;
  return { is: "grid", tiles: items.filter((i) => i !== floating), floating };
}
