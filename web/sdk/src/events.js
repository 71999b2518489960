// Typed events on the platform's EventTarget. An event's details are properties of the event itself: e.subscription.
/** The base class: EventTarget itself, under a type that is stricter than the platform's. */
export const TypedEventTarget = EventTarget;
class DetailedEvent extends Event {
    constructor(type, details) {
        super(type);
        Object.assign(this, details);
    }
}
/** Dispatches an event. Callers change their state first. */
export function emit(target, type, details) {
    target.dispatchEvent(new DetailedEvent(type, details));
}
//# sourceMappingURL=events.js.map