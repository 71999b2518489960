// Layers of what is published, and what becomes of them when less of it is wanted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseLayers, Demand, type Layers, layersFor, lowerMs, offeredLayers, type Picture, refit, sendEncodings, streamsOf, tune, union } from "../src/layers.js";

const camera: Picture = { source: "camera", codec: "vp8", width: 1280, height: 720 };

const rids = (l: Layers): string => (l.kind === "simulcast" ? l.sizes.map((s) => s.rid).join() : l.kind === "svc" ? l.mode : "one");

test("a camera has as many sizes as its picture is worth, in one stream where the codec can do that", () => {
  for (const [picture, want] of [
    [camera, "q,h,f"],
    [{ ...camera, width: 720, height: 1280 }, "q,h,f"],
    [{ ...camera, width: undefined, height: undefined }, "q,h,f"],
    [{ ...camera, width: 640, height: 480 }, "h,f"],
    [{ ...camera, width: 320, height: 240 }, "one"],
    [{ ...camera, codec: "h264" }, "q,h,f"],
    [{ ...camera, codec: "vp9" }, "L3T3_KEY"],
    [{ ...camera, codec: "av1", width: 640, height: 360 }, "L2T3_KEY"],
    [{ ...camera, codec: "av1", width: 320, height: 180 }, "one"],
    [{ ...camera, source: "screen" }, "one"],
    [{ ...camera, source: "screen", codec: "vp9" }, "one"],
    [{ ...camera, source: "screen", simulcast: true }, "q,h,f"],
    [{ ...camera, simulcast: false }, "one"],
    [{ ...camera, codec: "vp9", simulcast: false }, "one"],
    [{ ...camera, codec: "vp9", scalabilityMode: "L2T2" }, "L2T2"],
    [{ ...camera, codec: "vp8", scalabilityMode: "L2T2" }, "q,h,f"], // VP8 has no spatial layers
  ] as const) {
    assert.equal(rids(chooseLayers(picture)), want, JSON.stringify(picture));
  }
});

test("each size has a quarter of the pixels of the next and a third of its bits", () => {
  const layers = chooseLayers({ ...camera, maxBitrate: 1_600_000 });
  assert.deepEqual(sendEncodings(layers).map((e) => [e.rid, e.scaleResolutionDownBy, e.maxBitrate]), [
    ["q", 4, 200_000],
    ["h", 2, 565_685],
    ["f", 1, 1_600_000],
  ]);
  const offered = offeredLayers(layers, camera as { width: number; height: number });
  assert.deepEqual([offered.width, offered.height], [1280, 720]);
  assert.deepEqual(offered.encodings?.map((e) => [e.rid, e.width, e.height]), [["q", 320, 180], ["h", 640, 360], ["f", 1280, 720]]);
  assert.deepEqual(offeredLayers(chooseLayers({ ...camera, codec: "vp9" }), {}), { scalabilityMode: "L3T3_KEY" });
  assert.deepEqual(offeredLayers(chooseLayers({ ...camera, source: "screen" }), {}), {});
});

test("an m-line keeps its number of streams, whatever it carries", () => {
  for (const streams of [1, 2, 3]) {
    for (const codec of ["vp8", "vp9"]) {
      const layers = layersFor({ ...camera, codec }, streams);
      assert.equal(streamsOf(layers), streams);
      assert.equal(sendEncodings(layers).length, streams);
      assert.equal(streamsOf(refit(layers, { ...camera, codec, width: 160, height: 120 })), streams);
      assert.equal(tune(layers, undefined).length, streams);
    }
  }
  const small = refit(chooseLayers({ ...camera, codec: "vp9" }), { ...camera, codec: "vp9", width: 320, height: 180 });
  assert.ok(small.kind === "svc" && small.mode === "L3T3_KEY" && small.maxBitrate < 300_000);
});

test("what nobody wants is not encoded; fewer spatial layers are those of a smaller picture", () => {
  const simulcast = chooseLayers(camera);
  assert.deepEqual(tune(simulcast, undefined).map((t) => t.active), [true, true, true]);
  assert.deepEqual(tune(simulcast, { publication: "p1", active: ["q", "h"] }).map((t) => t.active), [true, true, false]);
  const one = chooseLayers({ ...camera, simulcast: false });
  assert.deepEqual(tune(one, { publication: "p1", active: [] }).map((t) => t.active), [false]);
  assert.deepEqual(tune(one, { publication: "p1", active: [""] }).map((t) => t.active), [true]);
  const svc = chooseLayers({ ...camera, codec: "vp9", maxBitrate: 1_600_000 });
  for (const [wanted, want] of [
    [undefined, [true, "L3T3_KEY", 1, 1_600_000]],
    [{ publication: "p1", active: [""], spatial: 2 }, [true, "L2T3_KEY", 2, 565_685]],
    [{ publication: "p1", active: [""], spatial: 1 }, [true, "L1T3", 4, 200_000]],
    [{ publication: "p1", active: [""], spatial: 9 }, [true, "L3T3_KEY", 1, 1_600_000]],
    [{ publication: "p1", active: [] }, [false, "L3T3_KEY", 1, 1_600_000]],
  ] as const) {
    const [t] = tune(svc, wanted && { ...wanted, active: [...wanted.active] });
    assert.deepEqual([t?.active, t?.scalabilityMode, t?.scaleResolutionDownBy, t?.maxBitrate], want);
  }
  // The sizes of these are not halves of one another: only all of them, or none.
  const odd = chooseLayers({ ...camera, codec: "vp9", scalabilityMode: "L2T3h" });
  assert.equal(tune(odd, { publication: "p1", active: [""], spatial: 1 })[0]?.scalabilityMode, "L2T3h");
});

test("two wishes together are everything of both", () => {
  const [a, b] = [{ publication: "p1", active: ["q"] }, { publication: "p1", active: ["q", "h"], spatial: 2 }];
  assert.deepEqual(union(a, b), { publication: "p1", active: ["q", "h"], spatial: 2 });
  assert.deepEqual(union(b, a), { publication: "p1", active: ["q", "h"], spatial: 2 });
  assert.equal(union(undefined, a), undefined);
});

test("more is sent at once, less after a while, and the last word counts", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const seen: string[] = [];
  const demand = new Demand(() => seen.push(demand.wanted?.active.join() ?? "all"));
  const told = (...active: string[]): void => demand.told({ publication: "p1", active });
  told("q");
  assert.deepEqual(seen, []); // everything is sent still
  t.mock.timers.tick(lowerMs - 1);
  told("q", "h");
  t.mock.timers.tick(lowerMs - 1);
  assert.deepEqual(seen, []);
  t.mock.timers.tick(1);
  assert.deepEqual(seen, ["q,h"]);
  told();
  told("q");
  assert.deepEqual(seen, ["q,h"]);
  told("q", "h", "f");
  assert.deepEqual(seen, ["q,h", "q,h,f"]);
  t.mock.timers.tick(lowerMs);
  assert.deepEqual(seen, ["q,h", "q,h,f"]);
  told();
  t.mock.timers.tick(lowerMs);
  assert.deepEqual(seen, ["q,h", "q,h,f", ""]);
  told("f");
  demand.close();
  t.mock.timers.tick(lowerMs);
  assert.deepEqual(seen, ["q,h", "q,h,f", "", "f"]);
});
