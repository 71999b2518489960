// Where others find the server that this page came from.

/** Whether a host (location.hostname) leads each machine to itself. */
export const isLoopback = (host: string): boolean => /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/i.test(host);

/** The origin in the server's answer to GET /v1/server; undefined: others do not get here. */
export function othersOf(answer: unknown): string | undefined {
  const others: unknown = typeof answer === "object" && answer !== null && "others" in answer ? answer.others : undefined;
  return typeof others === "string" && /^https?:\/\/[^/?#\s]+$/.test(others) ? others : undefined;
}
