// The grid: how many columns, and how large the cells, so that faces fill the space.

export interface Space {
  readonly width: number;
  readonly height: number;
}

/** Width divided by height of a cell: a picture is cropped to it, never stretched. */
export interface Ratios {
  readonly narrowest: number;
  readonly widest: number;
}

export interface Fit {
  readonly columns: number;
  readonly rows: number;
  readonly cell: Space;
}

export const landscapeRatios: Ratios = { narrowest: 4 / 3, widest: 16 / 9 };
/** A phone held upright: faces may be taller than wide. */
export const portraitRatios: Ratios = { narrowest: 9 / 16, widest: 16 / 9 };

export const nothing: Fit = { columns: 0, rows: 0, cell: { width: 0, height: 0 } };

/** The ratios that suit a space: a single face fills an upright phone whatever its shape. */
export function ratiosFor(space: Space, count: number): Ratios {
  if (space.height <= space.width) return landscapeRatios;
  return count === 1 ? { ...portraitRatios, narrowest: space.width / space.height } : portraitRatios;
}

/** The arrangement of count equal cells with the largest area. Cells have whole pixels; rows may be one short. */
export function fitGrid(count: number, space: Space, gap: number, ratios: Ratios = ratiosFor(space, count)): Fit {
  let best = nothing;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    if (Math.ceil(count / rows) < columns) continue; // fewer columns do for as many rows
    const cell = fitCell((space.width - gap * (columns - 1)) / columns, (space.height - gap * (rows - 1)) / rows, ratios);
    if (cell.width * cell.height > best.cell.width * best.cell.height) best = { columns, rows, cell };
  }
  return best;
}

/** The largest cell in a box whose shape is allowed. */
function fitCell(width: number, height: number, { narrowest, widest }: Ratios): Space {
  if (width < 1 || height < 1) return { width: 0, height: 0 };
  return {
    width: Math.floor(Math.min(width, height * widest)),
    height: Math.floor(Math.min(height, width / narrowest)),
  };
}
