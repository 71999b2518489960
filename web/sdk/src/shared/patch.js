// Operations on documents, as docs/protocol.md sections 18.2 and 18.3 have them. They leave the document that they begin with as it is, and
// throw where the server would refuse. Both are tested with internal/state/testdata/operations.json.
import { limits } from "../wire.gen.js";
import { NotFoundError } from "../errors.js";
import { badRequest, depth, isArray, isObject, take, tooDeep, tooLarge, tooMany } from "./json.js";
import { entriesOf, step } from "./entries.js";
import { formatPath, get, parsePath } from "./path.js";
/** Applies operations in order: all of them, or it throws. */
export function applyAll(document, operations) {
    let value = document;
    for (const operation of operations)
        value = apply(value, operation);
    if (value === undefined)
        throw new NotFoundError("not-found", "There is no such record.");
    return value;
}
function apply(document, operation) {
    switch (operation.op) {
        case "set":
            return set(document, parsePath(operation.path ?? ""), take(operation.value));
        case "erase":
            return erase(document, parsePath(operation.path ?? ""));
        case "insert":
        case "remove":
        case "move":
            return step(listOf(document, operation), operation);
        case "entries":
            listOf(document, operation);
            return entriesOf(take(operation.value)) ?? notEntries();
        default:
            throw badRequest(`There is no operation ${String(operation.op)}.`);
    }
}
function notEntries() {
    throw badRequest("The entries of a list are an array of strings.");
}
/** A list that does not exist begins empty. */
function listOf(document, { op, path }) {
    if (path)
        throw badRequest(`${op} is for lists, which are whole records.`, "Leave the path out.");
    const entries = document === undefined ? [] : entriesOf(document);
    if (!entries)
        throw badRequest("The record is not a list.", "Set the root to an array of strings.");
    return entries;
}
/** The document with a value at the path. Missing parents, and null in their place, are made. */
export function set(document, path, value) {
    if (path.length + depth(value) > limits.maxRecordDepth)
        throw tooDeep();
    if (path.length === 0 && !isArray(value) && !isObject(value))
        throw badRequest("The root of a document is an object or an array.");
    return setAt(document, path, 0, value);
}
function setAt(parent, path, at, value) {
    const next = path[at];
    if (next === undefined)
        return value;
    const free = parent === undefined || parent === null;
    if (typeof next === "number" && (free || isArray(parent)))
        return setPlace(free ? [] : parent, next, path, at, value);
    if (typeof next === "string" && (free || isObject(parent))) {
        const old = free ? {} : parent;
        const known = Object.hasOwn(old, next);
        if (!known && Object.keys(old).length >= limits.maxElements)
            throw tooMany();
        return Object.freeze({ ...old, [next]: setAt(known ? old[next] : undefined, path, at + 1, value) });
    }
    throw badRequest(`"${formatPath(path)}" leads through something else than it says.`, "[n] is for arrays, .key for objects; set what is in the way first.");
}
function setPlace(old, place, path, at, value) {
    if (place > old.length + limits.maxArrayGap) {
        throw tooLarge(`Place ${place} is more than ${limits.maxArrayGap} behind the end of the array.`, "Fill it in order.");
    }
    const items = [...old];
    while (items.length < place)
        items.push(null);
    items[place] = setAt(old[place], path, at + 1, value);
    return Object.freeze(items);
}
/** The document without what is at the path. What follows in an array moves up. */
export function erase(document, path) {
    const last = path.at(-1);
    if (last === undefined)
        throw badRequest("The root of a document cannot be erased.", "Delete the record.");
    if (get(document, path) === undefined)
        return document;
    const parent = get(document, path.slice(0, -1));
    if (isArray(parent))
        return replace(document, path.slice(0, -1), Object.freeze(parent.filter((_, i) => i !== last)));
    const members = Object.entries(parent).filter(([key]) => key !== last);
    return replace(document, path.slice(0, -1), Object.freeze(Object.fromEntries(members)));
}
/** The document with what is at the path replaced; it is there. */
function replace(document, path, value) {
    return path.length === 0 ? value : setAt(document, path, 0, value);
}
//# sourceMappingURL=patch.js.map