// The course of a budget window: carbon above, what was commanded and planned below it, and what was measured.

import { CARBON, COMMANDED, HEIGHT, LEFT, MEASURED, RIGHT, axis, carbonScale, scale, times } from "./axes.js";
import { h, s } from "./dom.js";
import { carbonText, isoOf, plain } from "./format.js";
import { colourOf, flavourOrder } from "./parts.js";

const SHARE_TICKS = [0, 0.5, 1];

/** Draw it `width` wide; `chosen` is the stretch that is being looked at. */
export function chart({ service, key, past, planned, now, range, width, chosen }) {
  const across = scale(range.start, range.end, LEFT, width - RIGHT);
  const slots = [...past, ...planned];
  const band = service.carbon.expected_range_g_per_kwh;
  const carbon = carbonScale(slots, band);
  const commanded = scale(0, 1, COMMANDED[1], COMMANDED[0]);
  const measured = scale(0, 1, MEASURED[1], MEASURED[0]);
  return s(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      role: "img",
      "aria-labelledby": "chart-title chart-desc",
    },
    s("title", { id: "chart-title" }, `Carbon intensity and split of requests of ${key} over the budget window`),
    s(
      "desc",
      { id: "chart-desc" },
      `From ${isoOf(range.start)} to ${isoOf(range.end)}; what is after ${isoOf(now)} is planned. ` +
        "The figures stand in the table below the chart.",
    ),
    hatch(),
    axis(
      "carbon",
      carbon.ticks.map((tick) => [carbon(tick), plain(tick)]),
      CARBON,
      width,
      "carbon intensity, g CO2e/kWh",
    ),
    axis(
      "commanded",
      SHARE_TICKS.map((tick) => [commanded(tick), plain(100 * tick)]),
      COMMANDED,
      width,
      "commanded and planned, % of requests",
    ),
    axis(
      "measured",
      SHARE_TICKS.map((tick) => [measured(tick), plain(100 * tick)]),
      MEASURED,
      width,
      "measured, % of requests",
    ),
    !carbon.known &&
      s(
        "text",
        { key: "unknown", class: "middle", x: (LEFT + width - RIGHT) / 2, y: (CARBON[0] + CARBON[1]) / 2 },
        "nothing is known of carbon",
      ),
    areas("commanded-past", key, past, "commanded", across, commanded),
    areas("commanded-plan", key, planned, "commanded", across, commanded, "planned"),
    areas("measured-past", key, past, "measured", across, measured),
    future(planned, across),
    band &&
      s(
        "rect",
        {
          class: "band",
          ...bandBox(past, planned, now, across),
          y: carbon(band[1]),
          height: Math.max(1, carbon(band[0]) - carbon(band[1])),
        },
        s("title", {}, `now: ${carbonText(band[0])} to ${carbonText(band[1])} g/kWh in four of five cases`),
      ),
    s("path", { class: "forecast", d: line(slots, (slot) => slot.forecast, across, carbon) }),
    s("path", { class: "actual", d: line(past, (slot) => slot.actual, across, carbon) }),
    chosen &&
      s("rect", {
        class: "chosen",
        x: across(chosen.start),
        width: Math.max(1, across(chosen.end) - across(chosen.start)),
        y: CARBON[0],
        height: MEASURED[1] - CARBON[0],
      }),
    marks(now, range, across, width),
    times(range, across, width),
  );
}

/** The time at a place of the drawing. */
export function timeAt(place, range, width) {
  return range.start + ((place - LEFT) / (width - RIGHT - LEFT)) * (range.end - range.start);
}

export function legend(key, names) {
  const sample = (kind) =>
    s(
      "svg",
      { class: "sample", viewBox: "0 0 24 10", "aria-hidden": "true" },
      s("path", { class: kind, d: "M1 5H23" }),
    );
  return h(
    "ul",
    { class: "legend" },
    h("li", { key: "#actual" }, sample("actual"), "carbon, actual"),
    h("li", { key: "#forecast" }, sample("forecast"), "carbon, forecast"),
    flavourOrder(key, names).map((name) =>
      h(
        "li",
        { key: name },
        s(
          "svg",
          { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
          s("rect", { class: colourOf(key, name), width: 10, height: 10, rx: 2 }),
        ),
        h("bdi", {}, name),
      ),
    ),
    h(
      "li",
      { key: "#planned" },
      s(
        "svg",
        { class: "sample", viewBox: "0 0 24 10", "aria-hidden": "true" },
        s("rect", { class: "planned-sample", width: 24, height: 10 }),
        s("rect", { class: "hatching", width: 24, height: 10 }),
      ),
      "hatched: planned, renewed at every decision",
    ),
  );
}

/** Stacked staircases, the first flavour at the bottom; broken where nothing is known. */
function areas(id, key, slots, which, across, up, kind = "") {
  const known = slots.filter((slot) => slot[which]);
  const names = flavourOrder(key, [...new Set(known.flatMap((slot) => Object.keys(slot[which])))]);
  const floor = new Map(known.map((slot) => [slot, 0]));
  return s(
    "g",
    { key: id, class: kind },
    names.map((name) => {
      let d = "";
      for (const slot of known) {
        const from = floor.get(slot);
        const to = Math.min(1, from + (slot[which][name] ?? 0));
        floor.set(slot, to);
        if (to > from) d += `M${across(slot.start)} ${up(from)}V${up(to)}H${across(slot.end)}V${up(from)}Z`;
      }
      return (
        d &&
        s("path", { key: name, class: colourOf(key, name), d, "shape-rendering": "crispEdges" }, s("title", {}, name))
      );
    }),
  );
}

function line(slots, value, across, up) {
  let [d, end] = ["", null];
  for (const slot of slots) {
    const known = value(slot);
    if (!Number.isFinite(known)) {
      end = null;
      continue;
    }
    d +=
      end === slot.start
        ? `V${up(known)}H${across(slot.end)}`
        : `M${across(slot.start)} ${up(known)}H${across(slot.end)}`;
    end = slot.end;
  }
  return d;
}

function hatch() {
  return s(
    "defs",
    { key: "defs" },
    s(
      "pattern",
      { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { class: "hatch-line", width: 3, height: 6 }),
    ),
  );
}

function future(planned, across) {
  if (!planned.length) return null;
  const x = across(planned[0].start);
  const width = Math.max(0, across(planned.at(-1).end) - x);
  return s("rect", {
    key: "future",
    class: "hatching",
    x,
    width,
    y: COMMANDED[0],
    height: COMMANDED[1] - COMMANDED[0],
  });
}

function bandBox(past, planned, now, across) {
  const end = planned[0]?.end ?? now;
  const start = past.at(-1)?.end === now ? past.at(-1).start : now;
  return { x: across(start), width: Math.max(3, across(end) - across(start)) };
}

function marks(now, range, across, width) {
  const x = across(now);
  const room = (width - RIGHT - LEFT) / 6;
  const [left, right] = [x - LEFT > room, width - RIGHT - x > room];
  return s(
    "g",
    { key: "marks" },
    s("line", { class: "now", x1: x, x2: x, y1: 18, y2: MEASURED[1] }),
    left && s("text", { key: "past", class: "mark-text end", x: x - 5, y: 14 }, "past"),
    right && s("text", { key: "plan", class: "mark-text", x: x + 5, y: 14 }, "planned"),
    range.end > range.windowEnd &&
      s(
        "g",
        { key: "window-end" },
        s(
          "line",
          {
            class: "window-end",
            x1: across(range.windowEnd),
            x2: across(range.windowEnd),
            y1: CARBON[0],
            y2: MEASURED[1],
          },
          s("title", {}, "end of the budget window"),
        ),
      ),
  );
}
