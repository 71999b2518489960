// What the server says of the room, and what changes with each event. It knows no time, no network and no media.
import { limits } from "./wire.gen.js";
/** Messages that are kept. The server gives the last limits.maxChatKept to who joins. */
export const maxMessages = 5_000;
export class RoomState {
    #revision = 0;
    #members = new Map();
    #messages = [];
    #isCut = false;
    #codecs = { audio: [], video: [] };
    #speakers = { speaking: [] };
    get revision() {
        return this.#revision;
    }
    /** Chat, oldest first. */
    get messages() {
        return this.#messages;
    }
    get codecs() {
        return this.#codecs;
    }
    /** The server had perhaps more messages than it gave. */
    get isCut() {
        return this.#isCut;
    }
    /** Puts older messages before those that are known, as many as can be kept. */
    addOlder(messages) {
        this.#messages = inOrder([...messages, ...this.#messages]).slice(-maxMessages);
    }
    /** Whether a message is known. */
    knows(message) {
        return this.#messages.some((m) => sameMessage(m, message));
    }
    /** Replaces everything that is known; what differs comes out as changes. */
    replace(room) {
        const changes = [];
        const present = new Map((room.participants ?? []).map((p) => [p.identity, p]));
        for (const identity of [...this.#members.keys()]) {
            if (!present.has(identity))
                changes.push(...this.#left(identity, "left"));
        }
        for (const participant of present.values()) {
            const known = this.#members.get(participant.identity);
            changes.push(...(known ? this.#compare(known, participant) : this.#joined(participant)));
        }
        changes.push(...this.#replaceMessages(room.chat ?? []));
        this.#codecs = normal(room.codecs);
        changes.push({ is: "codecs", codecs: this.#codecs }, ...this.#speak(room.speakers));
        this.#revision = room.revision;
        return changes;
    }
    /** Applies one event. An event that tells what is known already changes nothing. */
    apply(event) {
        if (event.rev !== undefined) {
            if (event.rev < this.#revision)
                return [];
            this.#revision = event.rev;
        }
        switch (event.type) {
            case "participant-joined":
                return this.#comes(event.body.participant);
            case "participant-left":
                return this.#left(event.body.identity, event.body.reason);
            case "participant-updated":
                return this.#updated(event.body.identity, event.body.name, event.body.metadata);
            case "track-published":
                return this.#published(event.body.identity, event.body.publication);
            case "track-unpublished":
                return this.#unpublished(event.body.identity, event.body.publication);
            case "track-muted":
                return this.#muted(event.body.identity, event.body.publication, event.body.muted);
            case "chat":
                return this.#message(event.body);
            case "codecs":
                this.#codecs = normal(event.body);
                return [{ is: "codecs", codecs: this.#codecs }];
            case "speakers":
                return this.#speak(event.body);
            case "resync":
                return this.replace(event.body.room);
            default:
                return []; // slots, subscriptions, the transport and the session are not the room's state
        }
    }
    #comes(participant) {
        const known = this.#members.get(participant.identity);
        return known ? this.#compare(known, participant) : this.#joined(participant);
    }
    #joined(participant) {
        const publications = new Map((participant.publications ?? []).map((p) => [p.id, p]));
        this.#members.set(participant.identity, { participant, publications });
        const changes = [{ is: "participant-joined", participant }];
        for (const publication of publications.values()) {
            changes.push({ is: "published", identity: participant.identity, publication });
        }
        return changes;
    }
    #left(identity, reason) {
        const member = this.#members.get(identity);
        if (!member)
            return [];
        this.#members.delete(identity);
        const changes = [...member.publications.keys()].map((publication) => ({ is: "unpublished", identity, publication }));
        changes.push({ is: "participant-left", identity, reason });
        return changes;
    }
    #updated(identity, name, metadata) {
        const member = this.#members.get(identity);
        if (!member)
            return [];
        const { participant } = member;
        if ((participant.name ?? "") === name && (participant.metadata ?? "") === metadata)
            return [];
        member.participant = { ...participant, name, metadata };
        return [{ is: "participant-updated", identity, name, metadata }];
    }
    #published(identity, publication) {
        const member = this.#members.get(identity);
        if (!member || member.publications.has(publication.id))
            return [];
        member.publications.set(publication.id, publication);
        return [{ is: "published", identity, publication }];
    }
    #unpublished(identity, publication) {
        return this.#members.get(identity)?.publications.delete(publication) ? [{ is: "unpublished", identity, publication }] : [];
    }
    #muted(identity, id, muted) {
        const publications = this.#members.get(identity)?.publications;
        const known = publications?.get(id);
        if (!publications || !known || (known.muted ?? false) === muted)
            return [];
        publications.set(id, { ...known, muted });
        return [{ is: "muted", identity, publication: id, muted }];
    }
    /** A server of before this was told says nothing of speakers. */
    #speak(now) {
        const speakers = { ...(now?.dominant !== undefined && { dominant: now.dominant }), speaking: now?.speaking ?? [] };
        const before = this.#speakers;
        if (before.dominant === speakers.dominant && sameNames(before.speaking, speakers.speaking))
            return [];
        this.#speakers = speakers;
        return [{ is: "speakers", speakers }];
    }
    #message(message) {
        if (this.knows(message))
            return [];
        this.#messages = [...this.#messages, message].slice(-maxMessages);
        return [{ is: "message", message }];
    }
    /** A participant who was known, as a snapshot has it now. */
    #compare(member, now) {
        const identity = now.identity;
        const changes = this.#updated(identity, now.name ?? "", now.metadata ?? "");
        member.participant = now;
        const present = new Map((now.publications ?? []).map((p) => [p.id, p]));
        const gone = [...member.publications.values()].filter((p) => !sameTrack(p, present.get(p.id)));
        for (const p of gone)
            member.publications.delete(p.id);
        for (const publication of present.values()) {
            if (member.publications.has(publication.id)) {
                changes.push(...this.#muted(identity, publication.id, publication.muted ?? false));
                continue;
            }
            const twin = gone.findIndex((p) => sameTrack(p, publication));
            const [before] = twin < 0 ? [] : gone.splice(twin, 1);
            member.publications.set(publication.id, publication);
            if (before)
                changes.push({ is: "republished", identity, before: before.id, publication });
            else
                changes.push({ is: "published", identity, publication });
        }
        const ended = gone.map((p) => ({ is: "unpublished", identity, publication: p.id }));
        return [...ended, ...changes];
    }
    #replaceMessages(chat) {
        const before = this.#messages;
        const isNew = chat.filter((m) => !this.knows(m));
        const isApart = chat.length >= limits.maxChatKept && isNew.length === chat.length;
        this.#isCut ||= isApart;
        // The server does not keep private messages for a snapshot.
        const kept = isApart ? before.filter((m) => m.to !== undefined) : before;
        this.#messages = inOrder([...kept, ...isNew]).slice(-maxMessages);
        const gap = isApart ? [{ is: "gap" }] : [];
        return [...gap, ...isNew.map((message) => ({ is: "message", message }))];
    }
}
function sameNames(a, b) {
    return a.length === b.length && a.every((name, i) => name === b[i]);
}
function sameMessage(a, b) {
    return a.id === b.id && a.at === b.at && a.from === b.from;
}
function inOrder(messages) {
    return [...messages].sort((a, b) => Date.parse(a.at) - Date.parse(b.at) || a.id - b.id);
}
/** Whether two publications of one participant are the same track to a person. */
function sameTrack(a, b) {
    return b !== undefined && a.kind === b.kind && a.source === b.source && (a.name ?? "") === (b.name ?? "");
}
/** A list without elements may come as null. */
function normal(codecs) {
    return { audio: codecs?.audio ?? [], video: codecs?.video ?? [] };
}
//# sourceMappingURL=state.js.map