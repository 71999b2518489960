// Browsers play nothing before the user has done something on the page, or it captures. What they refused is tried again then.
/** Whether a play() was refused for want of a user's gesture, rather than given up for another reason. */
export const isRefused = (reason) => reason instanceof DOMException && reason.name === "NotAllowedError";
/** The elements that the browser has refused to play. */
export class BlockedElements {
    #elements = new Set();
    #allowed;
    /** Allowed is called whenever the last of them plays. */
    constructor(allowed) {
        this.#allowed = allowed;
    }
    add(element) {
        this.#elements.add(element);
    }
    async tryAgain() {
        if (this.#elements.size === 0)
            return;
        await Promise.all([...this.#elements].map((e) => this.#play(e)));
        if (this.#elements.size === 0)
            this.#allowed();
    }
    /** One without a source has been detached, or waits for its next track: its play() would wait too. */
    async #play(element) {
        try {
            if (element.srcObject)
                await element.play();
        }
        catch (reason) {
            if (isRefused(reason))
                return;
        }
        this.#elements.delete(element);
    }
}
//# sourceMappingURL=blocked.js.map