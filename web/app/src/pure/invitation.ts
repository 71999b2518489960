// What an invitation says, which is a token (a JWT, RFC 7519), as far as a page needs it. Whether it is valid, the server decides.

export interface Invitation {
  /** Empty: its holder chooses one. */
  readonly name: string;
  /** Empty: it does not say. */
  readonly room: string;
  /** In ms since 1970; undefined: it does not say. */
  readonly expires: number | undefined;
  /** Its holder is heard, or seen; without either, one only watches. */
  readonly microphone: boolean;
  readonly camera: boolean;
}

export function readInvitation(token: string): Invitation {
  const claims = claimsOf(token);
  const expires = member(claims, "exp");
  return {
    name: text(claims, "name"),
    room: text(member(claims, "video"), "room"),
    expires: typeof expires === "number" ? expires * 1000 : undefined,
    microphone: mayPublish(claims, "microphone"),
    camera: mayPublish(claims, "camera"),
  };
}

function mayPublish(claims: unknown, source: string): boolean {
  const video = member(claims, "video");
  const sources = member(video, "canPublishSources");
  return member(video, "canPublish") !== false && (!Array.isArray(sources) || sources.length === 0 || sources.includes(source));
}

function claimsOf(token: string): unknown {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

function member(of: unknown, key: string): unknown {
  return typeof of === "object" && of !== null ? (of as Record<string, unknown>)[key] : undefined;
}

function text(of: unknown, key: string): string {
  const value = member(of, key);
  return typeof value === "string" ? value : "";
}

/** What may be wrong with an invitation that the server refuses. */
export type InvitationFault = "missing" | "expired" | "foreign";

export function faultOf(invitation: Invitation | undefined, now: number): InvitationFault {
  if (!invitation) return "missing";
  return invitation.expires !== undefined && invitation.expires <= now ? "expired" : "foreign";
}

/** The command that makes an invitation, for a shell. */
export function invitationCommand(room: string): string {
  const quoted = /^[\w.-]+$/.test(room) ? room : `'${room.replaceAll("'", `'\\''`)}'`;
  return `parley token --room ${quoted} --name NAME`;
}
