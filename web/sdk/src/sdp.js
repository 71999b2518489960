// The few changes that only the text of a session description can make.
/**
 * Lets the browser send Opus with discontinuous transmission on these m-lines: the receiver's wish decides (RFC 7587 §6.1), so
 * it goes into the answer.
 */
export function allowDtx(answer, mids) {
    return sections(answer)
        .map((section) => (mids.has(/^a=mid:(.*?)\r?$/m.exec(section)?.[1] ?? "") ? withDtx(section) : section))
        .join("");
}
function withDtx(section) {
    const payloadType = /^a=rtpmap:(\d+) opus\//im.exec(section)?.[1];
    if (payloadType === undefined || section.includes("usedtx="))
        return section;
    const parameters = new RegExp(`^(a=fmtp:${payloadType} [^\\r\\n]*)`, "m");
    if (parameters.test(section))
        return section.replace(parameters, "$1;usedtx=1");
    return section.replace(new RegExp(`^(a=rtpmap:${payloadType} [^\\r\\n]*)(\\r?\\n)`, "m"), `$1$2a=fmtp:${payloadType} usedtx=1$2`);
}
/** Splits a description before each m-line; joined they are the same text. */
function sections(sdp) {
    return sdp.split(/^(?=m=)/m);
}
//# sourceMappingURL=sdp.js.map