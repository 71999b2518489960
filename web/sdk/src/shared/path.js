// Paths within documents, as docs/protocol.md section 18.2 has them: a.b[1]["c.d"]. internal/state reads them the same; both are tested
// with internal/state/testdata/paths.json.
import { bytesOf } from "../bytes.js";
import { badRequest, checkKey, isArray, isObject, tooLarge, wellFormed } from "./json.js";
import { limits } from "../wire.gen.js";
const place = /^\[(0|[1-9]\d*)\]/;
const quoted = /^\[("(?:[^"\\\0-\x1f]|\\[^])*")\]/;
const key = /^[^.[\]]+/;
export function parsePath(text) {
    if (bytesOf(text) > limits.maxPathBytes)
        throw tooLarge(`The path is longer than ${limits.maxPathBytes} bytes.`);
    const steps = [];
    for (let rest = text; rest !== "";) {
        if (steps.length === limits.maxPathSteps)
            throw tooLarge(`The path has more than ${limits.maxPathSteps} steps.`);
        const [step, length] = cutStep(rest, steps.length === 0) ?? wrong(text, text.length - rest.length);
        if (typeof step === "string")
            checkKey(step);
        steps.push(step);
        rest = rest.slice(length);
    }
    // As it is stored and told: escapes can be longer there.
    if (bytesOf(formatPath(steps)) > limits.maxPathBytes)
        throw tooLarge(`The path is longer than ${limits.maxPathBytes} bytes.`);
    return steps;
}
function wrong(text, at) {
    throw badRequest(`The path ${JSON.stringify(text)} is wrong at character ${at}.`, 'Write it as in a.b[1]["c.d"].');
}
/** The first step of a path that is not at its end, and how long it is. */
function cutStep(text, first) {
    if (text.startsWith("["))
        return cutPlace(text);
    const dot = first ? 0 : 1;
    if (dot && !text.startsWith("."))
        return undefined;
    const found = key.exec(text.slice(dot))?.[0];
    if (!found || text[dot + found.length] === "]")
        return undefined;
    return [wellFormed(found), dot + found.length];
}
function cutPlace(text) {
    const number = place.exec(text);
    if (number)
        return Number(number[1]) < limits.maxElements ? [Number(number[1]), number[0].length] : undefined;
    const string = quoted.exec(text);
    if (!string)
        return undefined;
    try {
        return [wellFormed(JSON.parse(string[1] ?? "")), string[0].length];
    }
    catch {
        return undefined; // an escape that JSON does not know
    }
}
/** The path as parsePath reads it, the same for all ways to write it. */
export function formatPath(path) {
    return path.reduce((text, step) => {
        if (typeof step === "number")
            return `${text}[${step}]`;
        if (step === "" || /[.[\]]/.test(step))
            return `${text}[${quote(step)}]`;
        return text === "" ? step : `${text}.${step}`;
    }, "");
}
function quote(text) {
    const escaped = text.replace(/["\\]/g, "\\$&").replace(/[\0-\x1f]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
    return `"${escaped}"`;
}
/** What is at a path; undefined: nothing. */
export function get(document, path) {
    let value = document;
    for (const step of path) {
        if (typeof step === "number" ? isArray(value) : isObject(value) && Object.hasOwn(value, step)) {
            value = value[step];
        }
        else
            return undefined;
    }
    return value;
}
//# sourceMappingURL=path.js.map