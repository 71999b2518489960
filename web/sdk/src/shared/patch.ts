// Operations on documents, as docs/protocol.md sections 18.2 and 18.3 have them. They leave the document that they begin with as it is, and
// throw where the server would refuse. Both are tested with internal/state/testdata/operations.json.

import type { Operation } from "../wire.gen.js";
import { limits } from "../wire.gen.js";
import { NotFoundError } from "../errors.js";
import { badRequest, depth, isArray, isObject, type Json, type JsonObject, take, tooDeep, tooLarge, tooMany } from "./json.js";
import { entriesOf, step } from "./entries.js";
import { formatPath, get, parsePath, type Path } from "./path.js";

/** A document, or none: there is no such record. */
export type Document = Json | undefined;

/** Applies operations in order: all of them, or it throws. */
export function applyAll(document: Document, operations: readonly Operation[]): Json {
  const draft = new Draft(document);
  draft.apply(operations);
  const value = draft.done();
  if (value === undefined) throw new NotFoundError("not-found", "There is no such record.");
  return value;
}

/** What operations have made of a document so far. Of what it began with it copies each object and array that they change, once. */
export class Draft {
  #value: Document;
  /** The copies, and how many members those have that are objects. */
  readonly #copies = new Map<object, number>();
  /** The root, where it is known to be a list and is a copy. */
  #list: string[] | undefined;

  constructor(document: Document) {
    this.#value = document;
  }

  /** As it is until the next operation. */
  get value(): Document {
    return this.#value;
  }

  /** Applies operations in order; undefined deletes the record. Where it throws, the draft is of no more use. */
  apply(operations: readonly Operation[] | undefined): void {
    if (!operations) return this.#replace(undefined);
    for (const operation of operations) this.#apply(operation);
  }

  /** Nobody changes any more what it returns. */
  done(): Document {
    for (const copy of this.#copies.keys()) Object.freeze(copy);
    this.#copies.clear();
    this.#list = undefined;
    return this.#value;
  }

  #apply(operation: Operation): void {
    const { op, path = "", value } = operation;
    switch (op) {
      case "set":
        return this.#set(parsePath(path), take(value));
      case "erase":
        return this.#erase(parsePath(path));
      case "insert":
      case "remove":
      case "move":
        return this.#step(operation);
      case "entries":
        listOf(this.#value, operation);
        return this.#replace(entriesOf(take(value)) ?? notEntries());
      default:
        throw badRequest(`There is no operation ${String(op satisfies never)}.`);
    }
  }

  #step(operation: Operation): void {
    if (!this.#list || operation.path) this.#value = this.#list = this.#copyArray(listOf(this.#value, operation));
    step(this.#list, operation);
  }

  #replace(value: Document): void {
    [this.#value, this.#list] = [value, undefined];
  }

  #set(path: Path, value: Json): void {
    if (path.length + depth(value) > limits.maxRecordDepth) throw tooDeep();
    if (path.length === 0 && !isArray(value) && !isObject(value)) throw badRequest("The root of a document is an object or an array.");
    this.#replace(this.#setAt(this.#value, path, 0, value));
  }

  #setAt(parent: Document, path: Path, at: number, value: Json): Json {
    const next = path[at];
    if (next === undefined) return value;
    const free = parent === undefined || parent === null;
    if (typeof next === "number" && (free || isArray(parent))) return this.#setPlace(free ? [] : parent, next, path, at, value);
    if (typeof next === "string" && (free || isObject(parent))) return this.#setMember(free ? {} : parent, next, path, at, value);
    throw badRequest(
      `"${formatPath(path)}" leads through something else than it says.`,
      "[n] is for arrays, .key for objects; set what is in the way first.",
    );
  }

  #setMember(old: JsonObject, key: string, path: Path, at: number, value: Json): Json {
    const child = this.#setAt(Object.hasOwn(old, key) ? old[key] : undefined, path, at + 1, value);
    const object = this.#copyObject(old);
    if (!Object.hasOwn(object, key)) this.#count(object, 1);
    object[key] = child;
    return object;
  }

  #setPlace(old: readonly Json[], place: number, path: Path, at: number, value: Json): Json {
    if (place > old.length + limits.maxArrayGap) {
      throw tooLarge(`Place ${place} is more than ${limits.maxArrayGap} behind the end of the array.`, "Fill it in order.");
    }
    const child = this.#setAt(old[place], path, at + 1, value);
    const items = this.#copyArray(old);
    while (items.length < place) items.push(null);
    items[place] = child;
    return items;
  }

  /** What follows in an array moves up. */
  #erase(path: Path): void {
    const last = path.at(-1);
    if (last === undefined) throw badRequest("The root of a document cannot be erased.", "Delete the record.");
    if (get(this.#value, path) === undefined) return;
    const parent = get(this.#value, path.slice(0, -1));
    if (isArray(parent)) {
      const items = this.#copyArray(parent);
      items.splice(last as number, 1);
      return this.#replace(this.#setAt(this.#value, path.slice(0, -1), 0, items));
    }
    const object = this.#copyObject(parent as JsonObject);
    delete object[last];
    this.#count(object, -1);
    this.#replace(this.#setAt(this.#value, path.slice(0, -1), 0, object));
  }

  #copyArray<T extends Json>(array: readonly T[]): T[] {
    if (this.#copies.has(array)) return array as T[];
    const copy = [...array];
    this.#copies.set(copy, 0);
    return copy;
  }

  #copyObject(object: JsonObject): Record<string, Json> {
    if (this.#copies.has(object)) return object as Record<string, Json>;
    const copy = { ...object };
    this.#copies.set(copy, Object.keys(copy).length);
    return copy;
  }

  #count(object: JsonObject, more: 1 | -1): void {
    const members = (this.#copies.get(object) ?? 0) + more;
    if (members > limits.maxElements) throw tooMany();
    this.#copies.set(object, members);
  }
}

function notEntries(): never {
  throw badRequest("The entries of a list are an array of strings.");
}

/** A list that does not exist begins empty. */
function listOf(document: Document, { op, path }: Operation): readonly string[] {
  if (path) throw badRequest(`${op} is for lists, which are whole records.`, "Leave the path out.");
  const entries = document === undefined ? [] : entriesOf(document);
  if (!entries) throw badRequest("The record is not a list.", "Set the root to an array of strings.");
  return entries;
}
