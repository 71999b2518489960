// Strokes on the whiteboard. They are members of a record, so that those of two who draw at once both stay. A stroke that takes long is
// sent in pieces, each a member: 0mf4k2xq1ab3c-000, 0mf4k2xq1ab3c-001 … The key begins with the time, so that newer strokes cover older ones.

/** The board's own units: the same for everybody, whatever the size of the screen. */
export const boardSize = { width: 4000, height: 3000 } as const;
export const penWidth = 16;
export const eraserReach = 45;

export const colours = ["black", "red", "orange", "green", "blue"] as const;
export type Colour = (typeof colours)[number];

/** What a board holds at most. The server takes records of 256 KiB. */
export const maxPieces = 4000;
export const maxBoardBytes = 192 * 1024;
/** A piece is sent when it has so many points, and a stroke ends after so many pieces. */
export const maxPiecePoints = 64;
export const maxStrokePieces = 200;

/** Points are x, y, x, y …, in whole units. */
export type Points = readonly number[];

export interface Piece {
  readonly by: string;
  readonly colour: Colour;
  readonly points: Points;
}

export interface Stroke extends Piece {
  readonly key: string;
  readonly bytes: number;
}

/** Members of documents never change, so that each is read once. */
const read = new WeakMap<object, Stroke | null>();

/** The paths of all that a document has, strokes or not. */
export function pathsOf(document: object): readonly string[] {
  return Object.keys(document).map((key) => (key === "" || /[.[\]]/.test(key) ? `[${JSON.stringify(key)}]` : key));
}

/** What of a document is a stroke, the oldest first. */
export function strokesOf(document: unknown): readonly Stroke[] {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return [];
  const members = Object.entries(document as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
  return members.flatMap(([key, value]) => strokeOf(key, value) ?? []);
}

function strokeOf(key: string, value: unknown): Stroke | null {
  if (typeof value !== "object" || value === null) return null;
  const known = read.get(value);
  if (known !== undefined) return known;
  const stroke = isPiece(value) ? { key, bytes: bytesOf(key, value), by: value.by, colour: value.colour, points: value.points } : null;
  read.set(value, stroke);
  return stroke;
}

function isPiece(value: object): value is Piece {
  if (!("by" in value && "colour" in value && "points" in value) || typeof value.by !== "string") return false;
  const { colour, points } = value;
  if (!colours.some((c) => c === colour) || !Array.isArray(points)) return false;
  return points.length >= 2 && points.length % 2 === 0 && points.length <= 2 * maxPiecePoints + 2 && points.every((n) => Number.isFinite(n));
}

/** In JSON, with what is around it. */
export function bytesOf(key: string, { by, colour, points }: Piece): number {
  return key.length + 4 + new TextEncoder().encode(JSON.stringify({ by, colour, points })).length;
}

/** Names a stroke. Random is below 1. */
export function strokeName(now: number, random: number): string {
  return now.toString(36).padStart(9, "0") + Math.floor(random * 36 ** 4).toString(36).padStart(4, "0");
}

export function pieceKey(stroke: string, piece: number): string {
  return `${stroke}-${piece.toString(36).padStart(3, "0")}`;
}

function nameOf(key: string): string {
  return key.slice(0, key.lastIndexOf("-"));
}

/** Whether a board with these strokes takes so many bytes more. */
export function hasRoom(strokes: readonly Stroke[], bytes: number): boolean {
  return strokes.length < maxPieces && strokes.reduce((sum, s) => sum + s.bytes, bytes) <= maxBoardBytes;
}

/** All pieces of the newest stroke that somebody has drawn. */
export function newestOf(strokes: readonly Stroke[], by: string): readonly string[] {
  const last = strokes.findLast((s) => s.by === by);
  return last ? keysOf(strokes, new Set([nameOf(last.key)])) : [];
}

/** All pieces of the strokes that an eraser meets on its way. */
export function touched(strokes: readonly Stroke[], from: Points, to: Points): readonly string[] {
  const [x0 = 0, y0 = 0] = from;
  const [x1 = x0, y1 = y0] = to;
  const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / eraserReach));
  const met = new Set<string>();
  for (const { key, points } of strokes) {
    for (let i = 0; i <= steps && !met.has(nameOf(key)); i++) {
      const [x, y] = [x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps];
      if (distance(points, x, y) <= eraserReach) met.add(nameOf(key));
    }
  }
  return keysOf(strokes, met);
}

function keysOf(strokes: readonly Stroke[], names: ReadonlySet<string>): readonly string[] {
  return strokes.map((s) => s.key).filter((key) => names.has(nameOf(key)));
}

/** How far a point is from a line. */
function distance(points: Points, x: number, y: number): number {
  let least = Math.hypot(x - (points[0] ?? 0), y - (points[1] ?? 0));
  for (let i = 2; i < points.length; i += 2) {
    least = Math.min(least, toSegment(x, y, points[i - 2] ?? 0, points[i - 1] ?? 0, points[i] ?? 0, points[i + 1] ?? 0));
  }
  return least;
}

function toSegment(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const at = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - at * dx, y - ay - at * dy);
}

/** The same line with fewer points: none that is left out was farther from it than so much (Ramer, Douglas and Peucker). */
export function thinned(points: Points, tolerance: number): Points {
  const last = points.length - 2;
  if (last < 4) return points;
  let [farthest, at] = [0, 0];
  for (let i = 2; i < last; i += 2) {
    const d = toSegment(points[i] ?? 0, points[i + 1] ?? 0, points[0] ?? 0, points[1] ?? 0, points[last] ?? 0, points[last + 1] ?? 0);
    if (d > farthest) [farthest, at] = [d, i];
  }
  if (farthest <= tolerance) return [...points.slice(0, 2), ...points.slice(last)];
  return [...thinned(points.slice(0, at + 2), tolerance), ...thinned(points.slice(at), tolerance).slice(2)];
}

/** As the path of an SVG: curves from middle to middle, so that what was drawn quickly has no corners. A single point is a dot. */
export function pathOf(points: Points): string {
  const [x = 0, y = 0] = points;
  if (points.length === 2) return `M${x} ${y}h.1`;
  let path = `M${x} ${y}`;
  for (let i = 2; i < points.length - 2; i += 2) {
    const [cx = 0, cy = 0, nx = 0, ny = 0] = points.slice(i, i + 4);
    path += `Q${cx} ${cy} ${(cx + nx) / 2} ${(cy + ny) / 2}`;
  }
  return `${path}L${points.at(-2) ?? 0} ${points.at(-1) ?? 0}`;
}
