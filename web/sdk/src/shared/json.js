// JSON values as shared state has them: within its limits, and never changed once they are in.
import { bytesOf } from "../bytes.js";
import { LimitError, ParleyError } from "../errors.js";
import { limits } from "../wire.gen.js";
const forbiddenKeys = ["__proto__", "constructor", "prototype"];
export function isObject(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
export function isArray(value) {
    return Array.isArray(value);
}
export function badRequest(message, next) {
    return new ParleyError("bad-request", message, { next });
}
export function tooLarge(message, next = "Send less, or use several records.") {
    return new LimitError("too-large", message, { next });
}
export function checkKey(key) {
    if (forbiddenKeys.includes(key))
        throw badRequest(`"${key}" is not allowed as a key.`, "Choose another one.");
}
/**
 * Copies and freezes a value of the application, or of the server. Throws where it is not JSON within the limits of documents, or without
 * them nested too deep.
 */
export function take(value, level = 0, limited = true) {
    switch (typeof value) {
        case "string":
            return wellFormed(value);
        case "boolean":
            return value;
        case "number":
            if (!Number.isFinite(value))
                throw badRequest(`${value} is no number in JSON.`, "Send null, or a string.");
            return value || 0; // no negative zero, which JSON writes as 0
        case "object":
            if (value === null)
                return null;
            if (level >= limits.maxRecordDepth)
                throw tooDeep();
            return Array.isArray(value) ? takeArray(value, level + 1, limited) : takeObject(value, level + 1, limited);
        default:
            throw badRequest(`A value of the type ${typeof value} is not JSON.`, "Leave it out, or send null.");
    }
}
function takeArray(value, level, limited) {
    if (limited && value.length > limits.maxElements)
        throw tooMany();
    return Object.freeze(Array.from(value, (x) => take(x, level, limited)));
}
/** Members that are undefined are none, as in JSON.stringify. */
function takeObject(value, level, limited) {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null) {
        throw badRequest(`A ${value.constructor.name} is not JSON.`, "Send a plain object.");
    }
    const members = Object.entries(value).filter(([, x]) => x !== undefined);
    if (limited && members.length > limits.maxElements)
        throw tooMany();
    return Object.freeze(Object.fromEntries(members.map(([key, x]) => {
        if (limited)
            checkKey(key);
        return [wellFormed(key), take(x, level, limited)];
    })));
}
export function tooDeep() {
    return tooLarge(`The document is nested deeper than ${limits.maxRecordDepth} levels.`);
}
export function tooMany() {
    return tooLarge(`An object or array has more than ${limits.maxElements} elements.`);
}
/** Half a surrogate pair is no character: the server would replace it too. */
export function wellFormed(text) {
    return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
/** The number of levels: 0 for what has none below it. */
export function depth(value) {
    if (typeof value !== "object" || value === null)
        return 0;
    return 1 + Object.values(value).reduce((most, x) => Math.max(most, depth(x)), 0);
}
/** Compares deeply. What two versions of a document share costs nothing. */
export function equal(a, b) {
    if (a === b)
        return true;
    if (isArray(a))
        return isArray(b) && a.length === b.length && a.every((x, i) => equal(x, b[i]));
    if (!isObject(a) || !isObject(b))
        return false;
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && equal(a[k], b[k]));
}
/** Freezes what the server has passed on from another client, where no more is known of it than that it is JSON. */
export function freeze(value) {
    const open = [value];
    for (let x = open.pop(); x !== undefined || open.length > 0; x = open.pop()) {
        if (typeof x === "object" && x !== null)
            open.push(...Object.values(Object.freeze(x)));
    }
    return value;
}
/** A value for an event or an RPC: undefined is none. It is no document, so it may have any keys. */
export function payload(what, value, maxBytes) {
    if (value === undefined)
        return {};
    const taken = take(value, 0, false);
    if (bytesOf(JSON.stringify(taken)) > maxBytes)
        throw tooLarge(`The ${what} is longer than ${maxBytes} bytes.`, "Send less.");
    return { value: taken };
}
/** The rule for names of records, events and RPCs, and for patterns. */
export function checkName(name) {
    if (bytesOf(name) > limits.maxStateNameBytes)
        throw tooLarge(`The name is longer than ${limits.maxStateNameBytes} bytes.`, "Choose a shorter one.");
    if (name === "" || /[\0-\x1f\x7f]|\p{Surrogate}/u.test(name)) {
        throw badRequest("The name is empty or not text without control characters.", "Choose another one.");
    }
}
//# sourceMappingURL=json.js.map