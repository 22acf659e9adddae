// The chart with what belongs to it: a slot to look at by pointer or keys, the legend, and all figures as a table.

import { chart, legend, timeAt } from "./chart.js";
import { h } from "./dom.js";
import { carbonText, isoOf, shareText, spanText } from "./format.js";
import { flavourOrder, keyOf, scrolling, section } from "./parts.js";
import { extent, stretches, thinned } from "./slots.js";

const WIDEST = 1600;
let width = 640;
let chosen = null;
let tableOpen = false;

/** Measure the room for the drawing; text in it keeps its size on every screen. */
function watched(redraw) {
  return (element) => {
    new ResizeObserver(([entry]) => {
      const room = Math.min(WIDEST, Math.floor(entry.contentRect.width));
      if (room > 0 && room !== width) {
        width = room;
        redraw();
      }
    }).observe(element);
  };
}

export function course(service, history, schedule, redraw) {
  const key = keyOf(service);
  const all = stretches(service, history, schedule);
  const range = extent(service, all.planned);
  const most = Math.max(40, width / 3);
  const count = all.past.length + all.planned.length;
  const past = thinned(all.past, (most * all.past.length) / Math.max(1, count));
  const planned = thinned(all.planned, (most * all.planned.length) / Math.max(1, count));
  const slots = [...past, ...planned];
  const names = service.flavours.map((flavour) => flavour.name);
  const joined = Math.ceil(count / Math.max(1, slots.length));
  const place = chosenPlace(slots, all.now);
  const choose = (time) => {
    chosen = time;
    redraw();
  };
  return section(
    "course",
    "Over the budget window",
    h(
      "div",
      {
        key: "drawing",
        class: "drawing",
        made: watched(redraw),
        on: {
          pointermove: (event) => event.pointerType === "mouse" && choose(pointed(event, range)),
          pointerdown: (event) => choose(pointed(event, range)),
        },
      },
      chart({ service, key, past, planned, now: all.now, range, width, chosen: chosen === null ? null : slots[place] }),
    ),
    slots.length > 0 && chooser(key, slots, place, choose),
    legend(key, names),
    joined > 1 && h("p", { key: "thinned", class: "quiet" }, `Each step is the mean of up to ${joined} slots.`),
    h(
      "details",
      {
        key: "table",
        class: "table",
        on: {
          toggle: (event) => {
            tableOpen = event.currentTarget.open;
            redraw();
          },
        },
        initial: { open: tableOpen },
      },
      h("summary", {}, "The same as a table"),
      tableOpen && table(key, slots, flavourOrder(key, names)),
    ),
  );
}

/** Another service is shown: nothing is being looked at yet. */
export function forgetChosen() {
  chosen = null;
}

function pointed(event, range) {
  const box = event.currentTarget.querySelector("svg").getBoundingClientRect();
  return timeAt(event.clientX - box.left, range, width);
}

function chosenPlace(slots, now) {
  const time = chosen ?? now;
  const place = slots.findIndex((slot) => slot.start <= time && time < slot.end);
  if (place >= 0) return place;
  return slots.length && time >= slots.at(-1).end ? slots.length - 1 : 0;
}

function chooser(key, slots, place, choose) {
  const slot = slots[place];
  return h(
    "div",
    { key: "chooser", class: "chooser" },
    h("label", { for: "slot" }, "Look at a slot"),
    h("input", {
      id: "slot",
      type: "range",
      min: 0,
      max: slots.length - 1,
      step: 1,
      "aria-valuetext": readoutText(key, slot),
      set: { value: String(place) },
      on: { input: (event) => choose(slots[Number(event.target.value)].start) },
    }),
    h("p", { class: "readout" }, readoutText(key, slot)),
  );
}

function readoutText(key, slot) {
  const carbon =
    [
      [slot.actual, "actual"],
      [slot.forecast, "forecast"],
    ]
      .filter(([value]) => Number.isFinite(value))
      .map(([value, kind]) => `carbon ${carbonText(value)} g/kWh ${kind}`)
      .join(", ") || "carbon not known";
  const shares = slot.planned
    ? `planned ${sharesText(key, slot.commanded)}`
    : `commanded ${sharesText(key, slot.commanded)}, measured ${sharesText(key, slot.measured)}`;
  return `${spanText(isoOf(slot.start), isoOf(slot.end))}: ${carbon}; ${shares}`;
}

function sharesText(key, shares) {
  if (!shares) return "nothing";
  const names = flavourOrder(key, Object.keys(shares)).filter((name) => shares[name] > 0);
  return names.map((name) => `${name} ${shareText(shares[name])} %`).join(" ");
}

function table(key, slots, names) {
  return scrolling(
    "course-caption",
    h(
      "table",
      {},
      h(
        "caption",
        { id: "course-caption" },
        h("span", {}, "Slots of the budget window; carbon in g CO2e/kWh, shares in % of requests; times UTC"),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "from, to (UTC)"),
          h("th", { scope: "col" }, "is"),
          h("th", { scope: "col", class: "n" }, "carbon, forecast"),
          h("th", { scope: "col", class: "n" }, "carbon, actual"),
          names.map((name) =>
            h("th", { key: `c ${name}`, scope: "col", class: "n" }, "commanded ", h("bdi", {}, name)),
          ),
          names.map((name) => h("th", { key: `m ${name}`, scope: "col", class: "n" }, "measured ", h("bdi", {}, name))),
        ),
      ),
      h(
        "tbody",
        {},
        slots.map((slot) =>
          h(
            "tr",
            { key: `${slot.planned} ${slot.start}`, class: slot.planned ? "planned-row" : null },
            h("th", { scope: "row", class: "when" }, spanText(isoOf(slot.start), isoOf(slot.end))),
            h("td", {}, slot.planned ? "planned" : "past"),
            h("td", { class: "n" }, carbonText(slot.forecast)),
            h("td", { class: "n" }, carbonText(slot.actual)),
            names.map((name) => h("td", { key: `c ${name}`, class: "n" }, cellText(slot.commanded, name))),
            names.map((name) => h("td", { key: `m ${name}`, class: "n" }, cellText(slot.measured, name))),
          ),
        ),
      ),
    ),
  );
}

function cellText(shares, name) {
  return shares ? shareText(shares[name] ?? 0) : "n/a";
}
