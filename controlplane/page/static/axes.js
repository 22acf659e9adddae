// Where things stand in the drawing: its panels, scales and axes.

import { s } from "./dom.js";
import { isoOf } from "./format.js";

export const LEFT = 46;
export const RIGHT = 12;
export const CARBON = [40, 150];
export const COMMANDED = [186, 296];
export const MEASURED = [332, 412];
export const HEIGHT = 446;
const TIME_STEPS_H = [1 / 60, 1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2160];

export function scale(low, high, start, end) {
  return (value) => Math.round(10 * (start + ((value - low) / (high - low || 1)) * (end - start))) / 10;
}

/** From 0, or from the least where that is less, with a little air above. */
export function carbonScale(slots, band) {
  const values = [...slots.flatMap((slot) => [slot.forecast, slot.actual]), ...(band ?? [])].filter(Number.isFinite);
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const most = values.reduce((greatest, value) => Math.max(greatest, value), 0);
  const high = most > low ? most + 0.08 * (most - low) : low + 1;
  const place = scale(low, high, CARBON[1], CARBON[0]);
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * (1 - 1e-9));
  place.known = values.length > 0;
  place.ticks = [];
  if (!place.known) return place;
  for (let at = Math.ceil(low / step); at <= Math.floor(high / step); at += 1) place.ticks.push(at * step);
  return place;
}

export function axis(key, ticks, [top, bottom], width, label) {
  return s(
    "g",
    { key },
    ticks.map(([y, text]) =>
      s(
        "g",
        { key: text },
        s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
        s("text", { class: "end", x: LEFT - 6, y: y + 4 }, text),
      ),
    ),
    s("line", { key: "base", class: "axis", x1: LEFT, x2: width - RIGHT, y1: bottom, y2: bottom }),
    s("text", { key: "label", class: "panel-label", x: LEFT + 4, y: top - 8 }, label),
  );
}

/** Full hours or midnights, as many as there is room for. */
export function times(range, across, width) {
  const hours = (range.end - range.start) / 3600;
  const most = Math.max(2, Math.floor(width / 64));
  const step = 3600 * (TIME_STEPS_H.find((each) => hours / each <= most) ?? Math.ceil(hours / most));
  const ticks = [];
  for (let at = Math.ceil(range.start / step) * step; at <= range.end; at += step) ticks.push(at);
  const text = (at) => {
    const iso = isoOf(at);
    return step < 86_400 && !iso.endsWith("T00:00:00Z") ? iso.slice(11, 16) : iso.slice(5, 10);
  };
  const anchor = (x) => (x < LEFT + 16 ? "start" : x > width - RIGHT - 16 ? "end" : "middle");
  return s(
    "g",
    { key: "times" },
    ticks.map((at) => s("text", { key: at, class: anchor(across(at)), x: across(at), y: MEASURED[1] + 16 }, text(at))),
    s("text", { key: "unit", class: "end", x: width - RIGHT, y: MEASURED[1] + 31 }, "time, UTC"),
  );
}
