// Types of /sdk/parley.js.
export * from "./types/index.js";
