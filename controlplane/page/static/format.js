// Numbers and times as people read them: never kinder to us than the exact value, which goes with them.

import { h } from "./dom.js";

// Decimals beyond which a difference is the rounding of floats, not a figure.
const NOISE = 9;
const UNITS = [
  [1e6, "t"],
  [1e3, "kg"],
  [1, "g"],
  [1e-3, "mg"],
  [1e-6, "µg"],
];
const NOTHING_EMITTED = "nothing emitted to compare with";
const NO_REQUESTS = "no requests";

const formats = new Map();

function grouped(value, decimals) {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en", digits));
  }
  return formats.get(decimals).format(value + 0);
}

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function rounded(value, decimals, round) {
  const units = Math.round(value * 10 ** NOISE);
  return grouped(round(units / 10 ** (NOISE - decimals)) / 10 ** decimals || 0, decimals);
}

/** A figure with its exact value, or what is missing. */
export function figure(exact, text, unit = "", remark = "") {
  const note = remark ? [" ", h("small", {}, remark)] : [];
  return [h("data", { value: exact }, text), unit && `\u00a0${unit}`, ...note];
}

function missing(why) {
  return ["n/a ", h("small", {}, `(${why})`)];
}

/** A saving in percent, rounded down; a negative one is said to be more. */
export function saved(percent, why = NOTHING_EMITTED) {
  if (!known(percent)) return missing(why);
  return figure(percent, rounded(percent, 2, Math.floor), "%", percent < -(10 ** -NOISE) ? "more" : "");
}

/** Percent above the least possible, rounded up. */
export function aboveBound(percent, why = NOTHING_EMITTED) {
  return known(percent) ? figure(percent, rounded(percent, 2, Math.ceil), "%") : missing(why);
}

/** A mean error given as a fraction, in percent and rounded up. */
export function meanError(fraction) {
  return known(fraction) ? figure(fraction, rounded(100 * fraction, 3, Math.ceil), "%") : missing(NO_REQUESTS);
}

/** What is granted, a fraction as it was configured: 4 rather than 4.000. */
export function promised(fraction) {
  return figure(fraction, plain(100 * fraction), "%");
}

export function plain(value) {
  return String(Number(value.toPrecision(6)));
}

/** A tenth of a percent at least: what is not nothing is not shown as nothing, nor what is not all as all. */
export function shareText(fraction) {
  if (fraction > 0 && fraction < 0.0005) return "<0.1";
  if (fraction < 1 && fraction >= 0.9995) return ">99.9";
  return rounded(100 * fraction, 1, Math.round);
}

/** Requests: whole ones without decimals, few ones with three significant digits. */
function amountText(value) {
  const whole = Number.isInteger(value) || Math.abs(value) >= 1000;
  return whole ? grouped(value, 0) : String(Number(value.toPrecision(3)));
}

export function amount(value) {
  return known(value) ? figure(value, amountText(value)) : missing("not known");
}

/** Credit and the like: rounded down to a tenth. */
export function amountDown(value) {
  return known(value) ? figure(value, rounded(value, 1, Math.floor)) : missing("not known");
}

/** What was spent: rounded up to a tenth. */
export function amountUp(value) {
  return known(value) ? figure(value, rounded(value, 1, Math.ceil)) : missing("not known");
}

export function carbonText(value) {
  return known(value) ? grouped(value, 0) : "n/a";
}

export function carbon(value) {
  return known(value) ? figure(value, carbonText(value), "g/kWh") : missing("not known");
}

/** One unit for masses that are compared: the largest of which the largest is at least one. */
export function gramUnit(values) {
  const largest = Math.max(0, ...values.filter(known).map(Math.abs));
  const [grams, name] = UNITS.find(([each]) => largest >= each) ?? (largest ? UNITS.at(-1) : [1, "g"]);
  return { grams, name };
}

export function grams(value, unit, round = Math.round) {
  if (!known(value)) return missing("not known");
  const scaled = value / unit.grams;
  const digits = scaled ? Math.min(Math.max(3 - Math.floor(Math.log10(Math.abs(scaled))), 0), 4) : 0;
  const text = round === Math.round ? grouped(scaled, digits) : rounded(scaled, digits, round);
  return figure(value, text, `${unit.name}\u00a0CO2e`);
}

export function seconds(iso) {
  return Date.parse(iso) / 1000;
}

/** "2023-11-15 10:00:05 UTC". */
export function moment(iso) {
  return iso ? h("time", { datetime: iso }, momentText(iso)) : "n/a";
}

export function momentText(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** "10:00", with the date where the days of both ends differ. */
export function spanText(start, end) {
  const until = start.slice(0, 10) === end.slice(0, 10) ? "" : `${end.slice(0, 10)} `;
  return `${start.slice(0, 10)} ${start.slice(11, 16)} to ${until}${end.slice(11, 16)} UTC`;
}

export function isoOf(seconds) {
  return new Date(1000 * seconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/** "2 h 5 min": the two largest units. */
export function durationText(total) {
  if (!known(total)) return "n/a";
  let left = Math.max(0, Math.round(total));
  const parts = [];
  for (const [length, name] of [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ]) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count) parts.push(`${count} ${name}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}
