// The fields of the forms; what stands in them belongs to who fills them in, however often the page is drawn.

import { h } from "./dom.js";
import { plain } from "./format.js";
import { percentText } from "./parts.js";

export const WHOLE = 10_000;
const UNITS = [
  ["m", "minutes"],
  ["h", "hours"],
  ["d", "days"],
];

/** One share for each flavour, at first as commanded (integer weights by name, or null), and what they come to. */
export function weightFields(names, weights, redraw) {
  const total = sumOf(names, weights);
  return h(
    "fieldset",
    {},
    h("legend", {}, "Share of requests, %"),
    names.map((name, index) =>
      h(
        "label",
        { key: name, class: "weight" },
        h("bdi", {}, name),
        h("input", {
          id: `weight-${index}`,
          type: "number",
          min: 0,
          max: 100,
          step: 0.01,
          required: true,
          inputmode: "decimal",
          initial: { value: percentText(weights?.[name] ?? 0) },
          on: { input: redraw },
        }),
      ),
    ),
    h(
      "p",
      { class: "sum" },
      h(
        "output",
        { for: names.map((_, index) => `weight-${index}`).join(" ") },
        total === WHOLE ? "together 100 %" : `together ${plain(total / 100)} %: must be 100 %`,
      ),
      " ",
      weights &&
        h(
          "button",
          { type: "button", class: "plain", on: { click: () => fill(names, weights, redraw) } },
          "as commanded now",
        ),
    ),
  );
}

export function duration(form, count, hint) {
  return h(
    "div",
    { class: "duration" },
    h("label", { for: `${form}-count` }, "For", hint && h("span", { class: "quiet" }, ` (${hint})`)),
    h("input", {
      id: `${form}-count`,
      name: "count",
      type: "number",
      min: 1,
      step: 1,
      inputmode: "numeric",
      initial: { value: count },
    }),
    h(
      "select",
      { name: "unit", "aria-label": "Unit of the duration" },
      UNITS.map(([value, name]) => h("option", { key: value, value }, name)),
    ),
  );
}

export function reason(form) {
  return h(
    "div",
    { class: "reason" },
    h("label", { for: `${form}-reason` }, "Reason (others see it)"),
    h("input", { id: `${form}-reason`, name: "reason", type: "text", maxlength: 500, autocomplete: "off" }),
  );
}

export function weightsOf(names) {
  return Object.fromEntries(
    names.map((name, index) => {
      const typed = document.getElementById(`weight-${index}`)?.value ?? "";
      return [name, typed === "" ? NaN : Math.round(Number(typed) * 100)];
    }),
  );
}

function sumOf(names, commanded) {
  const weights = document.getElementById("weight-0") ? weightsOf(names) : (commanded ?? {});
  return names.reduce((sum, name) => sum + (weights[name] || 0), 0);
}

function fill(names, weights, redraw) {
  names.forEach((name, index) => {
    document.getElementById(`weight-${index}`).value = percentText(weights[name] ?? 0);
  });
  redraw();
}

export function whole(input) {
  return /^[1-9][0-9]{0,5}$/.test(input.value);
}

export function lengthText(count, unit) {
  const name = UNITS.find(([value]) => value === unit.value)[1];
  return `${count.value} ${count.value === "1" ? name.slice(0, -1) : name}`;
}
