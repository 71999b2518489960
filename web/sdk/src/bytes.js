// The length of text as it is sent.
/** How many bytes a text has in UTF-8. */
export function bytesOf(text) {
    return new TextEncoder().encode(text).length;
}
//# sourceMappingURL=bytes.js.map