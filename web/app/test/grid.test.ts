// Rule: for any count and viewport, cells fit the space, keep their shape, and no other arrangement has larger ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fitGrid, landscapeRatios, portraitRatios, ratiosFor } from "../src/pure/grid.js";

const spaces = [
  { width: 1280, height: 704 },
  { width: 1920, height: 970 },
  { width: 900, height: 704 },
  { width: 390, height: 700 },
  { width: 844, height: 310 },
  { width: 320, height: 320 },
];

test("cells fit the space and keep an allowed shape", () => {
  for (const space of spaces) {
    for (let count = 1; count <= 60; count++) {
      const { columns, rows, cell } = fitGrid(count, space, 8);
      const { narrowest, widest } = ratiosFor(space, count);
      assert.ok(columns * rows >= count, `${count} cells have a place`);
      assert.ok((columns - 1) * rows < count || rows === 1, "no column is empty");
      assert.ok(columns * cell.width + (columns - 1) * 8 <= space.width);
      assert.ok(rows * cell.height + (rows - 1) * 8 <= space.height);
      const slack = 1 / Math.min(cell.width, cell.height) + 0.02;
      assert.ok(cell.width / cell.height >= narrowest - slack && cell.width / cell.height <= widest + slack);
    }
  }
});

test("the arrangement follows the viewport", () => {
  const table: [count: number, width: number, height: number, columns: number, rows: number][] = [
    [1, 1280, 704, 1, 1],
    [2, 1280, 704, 2, 1],
    [3, 1280, 704, 2, 2],
    [4, 1280, 704, 2, 2],
    [6, 1280, 704, 3, 2],
    [9, 1280, 704, 3, 3],
    [2, 390, 700, 1, 2],
    [4, 390, 700, 2, 2],
    [1, 390, 700, 1, 1],
    [6, 390, 700, 2, 3],
    [3, 1600, 300, 3, 1],
  ];
  for (const [count, width, height, columns, rows] of table) {
    const fit = fitGrid(count, { width, height }, 8);
    assert.deepEqual([fit.columns, fit.rows], [columns, rows], `${count} in ${width}×${height}`);
  }
});

test("one face fills an upright phone", () => {
  assert.deepEqual(fitGrid(1, { width: 390, height: 776 }, 8).cell, { width: 390, height: 776 });
});

test("an upright phone is filled by two faces", () => {
  const { cell } = fitGrid(2, { width: 390, height: 700 }, 8);
  assert.ok((2 * cell.width * cell.height) / (390 * 700) > 0.95);
});

test("a phone held upright allows tall cells, a wide screen does not", () => {
  assert.equal(ratiosFor({ width: 390, height: 700 }, 2), portraitRatios);
  assert.equal(ratiosFor({ width: 1280, height: 704 }, 2), landscapeRatios);
});

test("nothing fits nowhere", () => {
  assert.deepEqual(fitGrid(0, { width: 100, height: 100 }, 8).cell, { width: 0, height: 0 });
  assert.deepEqual(fitGrid(3, { width: 0, height: 0 }, 8).cell, { width: 0, height: 0 });
});
