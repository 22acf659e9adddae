// Stepping in: weights of one's own, or a pause at full quality, for a while and with a reason.

import { ask, url } from "./api.js";
import { confirmed } from "./dialog.js";
import { h } from "./dom.js";
import { moment } from "./format.js";
import { WHOLE, duration, lengthText, reason, weightFields, weightsOf, whole } from "./forms.js";
import { flavourOrder, keyOf, percentText, section } from "./parts.js";
import { announce } from "./say.js";

// What was refused, by form; the forms' content belongs to who fills them in.
const told = new Map();

export function steering(data, redraw) {
  return section(
    "steering",
    "Step in",
    h(
      "p",
      { class: "quiet" },
      "Both end by themselves; times are by the engine's clock. ",
      "What is promised is no longer looked after meanwhile, but every answer is booked.",
    ),
    h("div", { class: "forms" }, overrideForm(data, redraw), pauseForm(data, redraw)),
  );
}

function overrideForm(data, redraw) {
  const key = keyOf(data);
  const names = flavourOrder(
    key,
    data.flavours.map((flavour) => flavour.name),
  );
  return h(
    "form",
    {
      key: `override ${key}`,
      class: "steer",
      "aria-labelledby": "override-title",
      initial: { novalidate: "" },
      on: { submit: (event) => impose(event, data, names, redraw) },
    },
    h("h3", { id: "override-title" }, "Override"),
    data.override &&
      ending("override", "End the override", ["Overridden until ", moment(data.override.until)], data, redraw),
    weightFields(names, data.weights, redraw),
    duration("override", 15),
    reason("override"),
    refusal(`override ${key}`),
    h("button", { type: "submit", class: "act" }, data.override ? "Replace the override…" : "Override…"),
  );
}

function pauseForm(data, redraw) {
  const key = keyOf(data);
  return h(
    "form",
    {
      key: `pause ${key}`,
      class: "steer",
      "aria-labelledby": "pause-title",
      initial: { novalidate: "" },
      on: { submit: (event) => pause(event, data, redraw) },
    },
    h("h3", { id: "pause-title" }, "Pause"),
    data.paused &&
      ending(
        "pause",
        "Resume",
        data.paused.until ? ["Paused until ", moment(data.paused.until)] : ["Paused until somebody resumes"],
        data,
        redraw,
      ),
    h("p", { class: "quiet" }, "The best flavour serves everything."),
    duration("pause", 60, "empty: until somebody resumes"),
    reason("pause"),
    refusal(`pause ${key}`),
    h("button", { type: "submit", class: "act" }, data.paused ? "Replace the pause…" : "Pause…"),
  );
}

function refusal(form) {
  return h("p", { class: "refusal", role: "alert" }, told.get(form) ?? "");
}

function ending(what, label, said, data, redraw) {
  return h(
    "p",
    { class: "current" },
    h("span", {}, said),
    " ",
    h("button", { type: "button", class: "act", on: { click: () => end(what, label, data, redraw) } }, `${label}…`),
  );
}

async function impose(event, data, names, redraw) {
  event.preventDefault();
  const form = `override ${keyOf(data)}`;
  const { count, unit, reason: why } = event.target.elements;
  const weights = weightsOf(names);
  const wrong = !Object.values(weights).every((weight) => weight >= 0 && weight <= WHOLE)
    ? "Every share must be from 0 to 100 %."
    : Object.values(weights).reduce((sum, weight) => sum + weight, 0) !== WHOLE
      ? "The shares must be 100 % together."
      : !whole(count)
        ? "Say for how long, as a whole number."
        : null;
  if (wrong) return refuse(form, wrong, redraw);
  const split = names
    .filter((name) => weights[name] > 0)
    .map((name) => `${percentText(weights[name])} % to ${name}`)
    .join(", ");
  const lasting = lengthText(count, unit);
  return send(form, redraw, {
    what: "override",
    label: "Override",
    data,
    said: `${split}, for ${lasting}.`,
    body: { weights, duration: `${count.value}${unit.value}`, reason: why.value },
    done: `Overridden for ${lasting}`,
  });
}

async function pause(event, data, redraw) {
  event.preventDefault();
  const form = `pause ${keyOf(data)}`;
  const { count, unit, reason: why } = event.target.elements;
  const endless = count.value === "" && !count.validity.badInput;
  if (!endless && !whole(count)) return refuse(form, "Say for how long, as a whole number, or nothing.", redraw);
  const lasting = endless ? "until somebody resumes" : `for ${lengthText(count, unit)}`;
  return send(form, redraw, {
    what: "pause",
    label: "Pause",
    data,
    said: `The best flavour serves everything ${lasting}.`,
    body: { duration: endless ? null : `${count.value}${unit.value}`, reason: why.value },
    done: `Paused ${lasting}`,
  });
}

async function end(what, label, data, redraw) {
  const said = what === "pause" ? "The schedule decides again at once." : "The imposed weights end at once.";
  await send(`${what} ${keyOf(data)}`, redraw, {
    what,
    label,
    data,
    said,
    method: "DELETE",
    done: what === "pause" ? "Resumed" : "The override has ended",
  });
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
