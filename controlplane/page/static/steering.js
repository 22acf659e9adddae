// Stepping in: weights of one's own, or a pause at full quality, for a while and with a reason.

import { ask, url } from "./api.js";
import { confirmed } from "./dialog.js";
import { h } from "./dom.js";
import { moment, plain } from "./format.js";
import { flavourOrder, keyOf, percentText, section } from "./parts.js";
import { announce } from "./say.js";

const WHOLE = 10_000;
const UNITS = [["m", "minutes"], ["h", "hours"], ["d", "days"]];
// What was refused, and whether an answer is awaited, by form; the forms' content belongs to who fills them in.
const told = new Map();

export function steering(data, redraw) {
  return section("steering", "Step in",
    h("p", { class: "quiet" }, "Both end by themselves; times are by the engine's clock. What is promised is no longer looked after meanwhile, but every answer is booked."),
    h("div", { class: "forms" }, overrideForm(data, redraw), pauseForm(data, redraw)));
}

function overrideForm(data, redraw) {
  const key = keyOf(data);
  const names = flavourOrder(key, data.flavours.map((flavour) => flavour.name));
  const total = sumOf(key, names, data);
  return h("form", { key: `override ${key}`, class: "steer", "aria-labelledby": "override-title", initial: { novalidate: "" }, on: { submit: (event) => impose(event, data, names, redraw) } },
    h("h3", { id: "override-title" }, "Override"),
    data.override && ending("override", "End the override", ["Overridden until ", moment(data.override.until)], data, redraw),
    h("fieldset", {}, h("legend", {}, "Share of requests, %"),
      names.map((name, index) => h("label", { key: name, class: "weight" }, h("bdi", {}, name),
        h("input", { id: `weight-${index}`, type: "number", min: 0, max: 100, step: 0.01, required: true, inputmode: "decimal",
          initial: { value: percentText(data.weights?.[name] ?? 0) }, on: { input: redraw } }))),
      h("p", { class: "sum" }, h("output", { for: names.map((_, index) => `weight-${index}`).join(" ") }, total === WHOLE ? "together 100 %" : `together ${plain(total / 100)} %: must be 100 %`), " ",
        data.weights && h("button", { type: "button", class: "plain", on: { click: () => fill(names, data.weights, redraw) } }, "as commanded now"))),
    duration("override", 15), reason("override"), refusal(`override ${key}`),
    h("button", { type: "submit", class: "act" }, data.override ? "Replace the override…" : "Override…"));
}

function pauseForm(data, redraw) {
  const key = keyOf(data);
  return h("form", { key: `pause ${key}`, class: "steer", "aria-labelledby": "pause-title", initial: { novalidate: "" }, on: { submit: (event) => pause(event, data, redraw) } },
    h("h3", { id: "pause-title" }, "Pause"),
    data.paused && ending("pause", "Resume", data.paused.until ? ["Paused until ", moment(data.paused.until)] : ["Paused until somebody resumes"], data, redraw),
    h("p", { class: "quiet" }, "The best flavour serves everything."),
    duration("pause", 60, "empty: until somebody resumes"), reason("pause"), refusal(`pause ${key}`),
    h("button", { type: "submit", class: "act" }, data.paused ? "Replace the pause…" : "Pause…"));
}

function duration(form, count, hint) {
  return h("div", { class: "duration" },
    h("label", { for: `${form}-count` }, "For", hint && h("span", { class: "quiet" }, ` (${hint})`)),
    h("input", { id: `${form}-count`, name: "count", type: "number", min: 1, step: 1, inputmode: "numeric", initial: { value: count } }),
    h("select", { name: "unit", "aria-label": "Unit of the duration" }, UNITS.map(([value, name]) => h("option", { key: value, value }, name))));
}

function reason(form) {
  return h("div", { class: "reason" }, h("label", { for: `${form}-reason` }, "Reason (others see it)"),
    h("input", { id: `${form}-reason`, name: "reason", type: "text", maxlength: 500, autocomplete: "off" }));
}

function refusal(form) {
  return h("p", { class: "refusal", role: "alert" }, told.get(form) ?? "");
}

function ending(what, label, said, data, redraw) {
  return h("p", { class: "current" }, h("span", {}, said), " ",
    h("button", { type: "button", class: "act", on: { click: () => end(what, label, data, redraw) } }, `${label}…`));
}

function weightsOf(names) {
  return Object.fromEntries(names.map((name, index) => {
    const typed = document.getElementById(`weight-${index}`)?.value ?? "";
    return [name, typed === "" ? NaN : Math.round(Number(typed) * 100)];
  }));
}

function sumOf(key, names, data) {
  const form = document.getElementById("weight-0");
  const weights = form ? weightsOf(names) : (data.weights ?? {});
  return names.reduce((sum, name) => sum + (weights[name] || 0), 0);
}

function fill(names, weights, redraw) {
  names.forEach((name, index) => {
    document.getElementById(`weight-${index}`).value = percentText(weights[name] ?? 0);
  });
  redraw();
}

async function impose(event, data, names, redraw) {
  event.preventDefault();
  const form = `override ${keyOf(data)}`;
  const { count, unit, reason: why } = event.target.elements;
  const weights = weightsOf(names);
  const wrong = !Object.values(weights).every((weight) => weight >= 0 && weight <= WHOLE) ? "Every share must be from 0 to 100 %."
    : Object.values(weights).reduce((sum, weight) => sum + weight, 0) !== WHOLE ? "The shares must be 100 % together."
      : !whole(count) ? "Say for how long, as a whole number." : null;
  if (wrong) return refuse(form, wrong, redraw);
  const split = names.filter((name) => weights[name] > 0).map((name) => `${percentText(weights[name])} % to ${name}`).join(", ");
  const lasting = lengthText(count, unit);
  return send(form, redraw, { what: "override", label: "Override", data, said: `${split}, for ${lasting}.`,
    body: { weights, duration: `${count.value}${unit.value}`, reason: why.value }, done: `Overridden for ${lasting}` });
}

async function pause(event, data, redraw) {
  event.preventDefault();
  const form = `pause ${keyOf(data)}`;
  const { count, unit, reason: why } = event.target.elements;
  const endless = count.value === "" && !count.validity.badInput;
  if (!endless && !whole(count)) return refuse(form, "Say for how long, as a whole number, or nothing.", redraw);
  const lasting = endless ? "until somebody resumes" : `for ${lengthText(count, unit)}`;
  return send(form, redraw, { what: "pause", label: "Pause", data, said: `The best flavour serves everything ${lasting}.`,
    body: { duration: endless ? null : `${count.value}${unit.value}`, reason: why.value }, done: `Paused ${lasting}` });
}

async function end(what, label, data, redraw) {
  const said = what === "pause" ? "The schedule decides again at once." : "The imposed weights end at once.";
  await send(`${what} ${keyOf(data)}`, redraw, { what, label, data, said, method: "DELETE", done: what === "pause" ? "Resumed" : "The override has ended" });
}

async function send(form, redraw, { what, label, data, said, body, done, method = "PUT" }) {
  told.delete(form);
  redraw();
  if (!(await confirmed({ title: `${label}: ${keyOf(data)}`, said, action: label }))) return;
  try {
    await ask(url("services", data.namespace, data.service, what), { method, body });
    announce(`${done}: ${keyOf(data)}`);
    redraw({ reload: true });
    if (method === "DELETE") document.getElementById("steering").focus();
  } catch (error) {
    refuse(form, error.message, redraw);
  }
}

function refuse(form, message, redraw) {
  told.set(form, message);
  redraw();
}

function whole(input) {
  return /^[1-9][0-9]{0,5}$/.test(input.value);
}

function lengthText(count, unit) {
  const name = UNITS.find(([value]) => value === unit.value)[1];
  return `${count.value} ${count.value === "1" ? name.slice(0, -1) : name}`;
}
