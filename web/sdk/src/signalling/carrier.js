// A carrier takes requests to a server and brings messages back. The session above it knows nothing else of the way they travel.
export {};
//# sourceMappingURL=carrier.js.map