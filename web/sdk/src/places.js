// Where a picture is shown: how large, and whether anybody can see it. The server sends the size that suits.
/** A picture that is a little smaller than its place looks the same, and costs a third. */
const tolerance = 0.9;
const most = 8_192;
/**
 * The size that a picture should have for a place of `box` CSS pixels. A picture that is shown whole leaves bars at its sides; one
 * that covers its place is larger than that.
 */
export function wantedSize(box, picture, covers, pixelRatio) {
    let { width, height } = box;
    if (picture && picture.width > 0 && picture.height > 0) {
        const [x, y] = [width / picture.width, height / picture.height];
        const scale = covers ? Math.max(x, y) : Math.min(x, y);
        [width, height] = [picture.width * scale, picture.height * scale];
    }
    const wanted = (n) => Math.min(Math.ceil(n * pixelRatio * tolerance), most);
    return { width: wanted(width), height: wanted(height) };
}
/** The places of one picture: the video elements that it is attached to. */
export class Places {
    #changed;
    #seen = new Map(); // is in view
    #ending = new AbortController();
    #resized;
    #scrolled;
    constructor(changed) {
        this.#changed = changed;
    }
    add(element) {
        if (this.#seen.has(element))
            return;
        if (!this.#resized)
            this.#watch();
        this.#seen.set(element, true);
        this.#resized?.observe(element);
        this.#scrolled?.observe(element);
        // The picture's own shape counts, and is known later.
        element.addEventListener("resize", this.#changed, { signal: this.#ending.signal });
        this.#changed();
    }
    remove(element) {
        if (!this.#seen.delete(element))
            return;
        this.#resized?.unobserve(element);
        this.#scrolled?.unobserve(element);
        element.removeEventListener("resize", this.#changed);
        this.#changed();
    }
    /** The largest that somebody can see; undefined where nobody can. */
    get size() {
        let largest;
        for (const [element, isInView] of this.#seen) {
            if (!isVisible(element, isInView))
                continue;
            const size = sizeOf(element);
            if (!largest || size.width * size.height > largest.width * largest.height)
                largest = size;
        }
        return largest;
    }
    close() {
        this.#ending.abort();
        this.#resized?.disconnect();
        this.#scrolled?.disconnect();
        this.#seen.clear();
    }
    #watch() {
        this.#resized = new ResizeObserver(() => this.#changed());
        // What is just outside may be seen in a moment.
        this.#scrolled = new IntersectionObserver((entries) => this.#scroll(entries), { rootMargin: "25%" });
        document.addEventListener("visibilitychange", this.#changed, { signal: this.#ending.signal });
    }
    #scroll(entries) {
        for (const { target, isIntersecting } of entries) {
            if (target instanceof HTMLVideoElement && this.#seen.has(target))
                this.#seen.set(target, isIntersecting);
        }
        this.#changed();
    }
}
/** A picture in a window of its own is seen whatever becomes of the page. */
function isVisible(element, isInView) {
    if (document.pictureInPictureElement === element)
        return true;
    return isInView && document.visibilityState === "visible" && element.clientWidth > 0 && element.clientHeight > 0;
}
function sizeOf(element) {
    const box = { width: element.clientWidth, height: element.clientHeight };
    const picture = { width: element.videoWidth, height: element.videoHeight };
    return wantedSize(box, picture, getComputedStyle(element).objectFit === "cover", globalThis.devicePixelRatio || 1);
}
//# sourceMappingURL=places.js.map