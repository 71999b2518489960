// The slots: which publication fills which receiving m-line, and how many of them there are. Only numbers and names.
import { limits } from "./wire.gen.js";
export class SlotTable {
    #slots = new Map();
    /** Notes a slot event; undefined where it is older than what is known. */
    apply(slot) {
        const known = this.#slots.get(slot.mid);
        if (known && slot.generation <= known.generation)
            return undefined;
        const after = slot.publication || undefined;
        this.#slots.set(slot.mid, { generation: slot.generation, publication: after });
        return { mid: slot.mid, generation: slot.generation, before: known?.publication, after };
    }
    /** Replaces the table by what a resync tells; slots that it does not name are empty. */
    replace(slots) {
        const named = new Set(slots.map((s) => s.mid));
        const emptied = [];
        for (const [mid, { generation, publication }] of this.#slots) {
            if (named.has(mid) || publication === undefined)
                continue;
            this.#slots.set(mid, { generation, publication: undefined });
            emptied.push({ mid, generation, before: publication, after: undefined });
        }
        return [...emptied, ...slots.map((s) => this.apply(s)).filter((c) => c !== undefined)];
    }
    /** A new session numbers its slots anew. */
    clear() {
        this.#slots.clear();
    }
    /** The m-line that a publication fills. */
    holder(publication) {
        for (const [mid, filling] of this.#slots) {
            if (filling.publication === publication)
                return { mid, generation: filling.generation };
        }
        return undefined;
    }
    /** Whether this is still what fills the slot. */
    isCurrent(mid, generation) {
        return this.#slots.get(mid)?.generation === generation;
    }
    /** A publication goes on under another id. */
    rename(before, after) {
        const holder = this.holder(before);
        if (holder)
            this.#slots.set(holder.mid, { generation: holder.generation, publication: after });
    }
}
export const firstSlots = { pairs: 4, videos: 2 };
/** The most video-only slots that a server accepts. */
const maxVideos = 8;
/** The count after a wish for more. Slots are only ever added, and within the limits. */
export function grow(have, wanted) {
    return {
        pairs: Math.max(have.pairs, Math.min(wanted.pairs, limits.maxSlotPairs)),
        videos: Math.max(have.videos, Math.min(wanted.videos, maxVideos)),
    };
}
//# sourceMappingURL=slots.js.map