// The wait for the server to confirm a publication.
export function publishing(again) {
    let resolve = () => undefined;
    let reject = () => undefined;
    const promise = new Promise((yes, no) => {
        resolve = yes;
        reject = no;
    });
    if (again)
        promise.catch(() => undefined); // nobody may be waiting
    return { promise, resolve, reject, again };
}
//# sourceMappingURL=publishing.js.map