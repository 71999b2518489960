// The slots: which publication fills which receiving m-line, and how many of them there are. Only numbers and names.

import { limits, type Slot } from "./wire.gen.js";

/** A slot has another publication, or none. */
export interface SlotChange {
  readonly mid: string;
  readonly generation: number;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

interface Filling {
  readonly generation: number;
  readonly publication: string | undefined;
}

export class SlotTable {
  readonly #slots = new Map<string, Filling>();

  /** Notes a slot event; undefined where it is older than what is known. */
  apply(slot: Slot): SlotChange | undefined {
    const known = this.#slots.get(slot.mid);
    if (known && slot.generation <= known.generation) return undefined;
    const after = slot.publication || undefined;
    this.#slots.set(slot.mid, { generation: slot.generation, publication: after });
    return { mid: slot.mid, generation: slot.generation, before: known?.publication, after };
  }

  /** Replaces the table by what a resync tells; slots that it does not name are empty. */
  replace(slots: readonly Slot[]): SlotChange[] {
    const named = new Set(slots.map((s) => s.mid));
    const emptied: SlotChange[] = [];
    for (const [mid, { generation, publication }] of this.#slots) {
      if (named.has(mid) || publication === undefined) continue;
      this.#slots.set(mid, { generation, publication: undefined });
      emptied.push({ mid, generation, before: publication, after: undefined });
    }
    return [...emptied, ...slots.map((s) => this.apply(s)).filter((c) => c !== undefined)];
  }

  /** A new session numbers its slots anew. */
  clear(): void {
    this.#slots.clear();
  }

  /** The m-line that a publication fills. */
  holder(publication: string): { readonly mid: string; readonly generation: number } | undefined {
    for (const [mid, filling] of this.#slots) {
      if (filling.publication === publication) return { mid, generation: filling.generation };
    }
    return undefined;
  }

  /** Whether this is still what fills the slot. */
  isCurrent(mid: string, generation: number): boolean {
    return this.#slots.get(mid)?.generation === generation;
  }

  /** A publication goes on under another id. */
  rename(before: string, after: string): void {
    const holder = this.holder(before);
    if (holder) this.#slots.set(holder.mid, { generation: holder.generation, publication: after });
  }
}

/** How many slots are offered: pairs of audio and video, and video-only ones. */
export interface SlotCount {
  readonly pairs: number;
  readonly videos: number;
}

export const firstSlots: SlotCount = { pairs: 4, videos: 2 };

/** The most video-only slots that a server accepts. */
const maxVideos = 8;

/** The count after a wish for more. Slots are only ever added, and within the limits. */
export function grow(have: SlotCount, wanted: SlotCount): SlotCount {
  return {
    pairs: Math.max(have.pairs, Math.min(wanted.pairs, limits.maxSlotPairs)),
    videos: Math.max(have.videos, Math.min(wanted.videos, maxVideos)),
  };
}
