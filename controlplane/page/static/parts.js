// What several views show: splits as bars, meters, conditions, badges.

import { h, s } from "./dom.js";
import { durationText, figure, moment, plain, seconds, shareText } from "./format.js";

const COLOURS = 7;
const WHOLE = 10_000;
const orders = new Map();

/** The flavours of a service in an order that stays, so that each keeps its colour in every view. */
export function flavourOrder(service, names) {
  const known = orders.get(service) ?? [];
  const order = [...known, ...names.filter((name) => !known.includes(name))];
  orders.set(service, order);
  return order.filter((name) => names.includes(name));
}

export function colourOf(service, name) {
  return `f${Math.max(0, orders.get(service)?.indexOf(name) ?? 0) % COLOURS}`;
}

export function keyOf(data) {
  return `${data.namespace}/${data.service}`;
}

export function serviceHref(data) {
  return `#/services/${encodeURIComponent(data.namespace)}/${encodeURIComponent(data.service)}`;
}

/** Integer weights of 10,000 as shares. */
export function sharesOf(weights) {
  return Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, weight / WHOLE]));
}

function swatch(colour) {
  return s(
    "svg",
    { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
    s("rect", { class: colour, width: 10, height: 10, rx: 2 }),
  );
}

/** A stacked bar; its figures stand beside it as text, so it is hidden from screen readers. */
function splitBar(service, shares, kind = "") {
  let at = 0;
  const parts = flavourOrder(service, Object.keys(shares)).map((name) => {
    const from = at;
    at += shares[name];
    const width = shares[name] > 0 ? 100 * shares[name] : 0;
    return s("rect", { key: name, class: colourOf(service, name), x: 100 * from, y: 0, width, height: 10 });
  });
  const frame = s("rect", { key: "#frame", class: "bar-paper", width: 100, height: 10 });
  return s(
    "svg",
    { class: `split ${kind}`, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    frame,
    parts,
  );
}

/** "best 60.0 %, fast 40.0 %", each with its colour. */
function splitWords(service, shares) {
  const names = flavourOrder(service, Object.keys(shares)).filter((name) => shares[name] > 0);
  return h(
    "ul",
    { class: "shares" },
    names.map((name) =>
      h(
        "li",
        { key: name },
        swatch(colourOf(service, name)),
        h("bdi", {}, name),
        " ",
        figure(shares[name], shareText(shares[name]), "%"),
      ),
    ),
  );
}

/** A bar with its label before and its figures after it. */
export function splitRow(label, service, shares, absent, kind = "") {
  const known = shares !== null && Object.keys(shares).length > 0;
  return h(
    "div",
    { key: label, class: "split-row" },
    h("span", { class: "split-label" }, label),
    known ? [splitBar(service, shares, kind), splitWords(service, shares)] : h("span", { class: "quiet" }, absent),
  );
}

/** How far a mean error has come towards the promise; the tick is the promise. */
export function errorMeter(meanError, maxError) {
  const full = 1.25 * Math.max(maxError, meanError ?? 0) || 1;
  const over = meanError !== null && meanError > maxError * (1 + 1e-9);
  return s(
    "svg",
    { class: "meter", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "bar-paper", width: 100, height: 10 }),
    s("rect", { class: over ? "meter-over" : "meter-fill", width: (100 * (meanError ?? 0)) / full, height: 10 }),
    s("line", { class: "meter-tick", x1: (100 * maxError) / full, x2: (100 * maxError) / full, y1: 0, y2: 10 }),
  );
}

const STATES = { fresh: "good", stale: "warn", none: "bad", SYNCED: "good", STALE: "warn", NACK: "bad" };
const WORDS = { none: "no figures" };
const MARKS = { good: "✓", warn: "!", bad: "✕", note: "i" };

/** A state in words, with a mark and a colour that repeat them. */
export function badge(text, kind = STATES[text] ?? "note") {
  return h(
    "span",
    { class: `badge ${kind}` },
    h("span", { class: "mark", "aria-hidden": "true" }, MARKS[kind]),
    WORDS[text] ?? text,
  );
}

const CONDITIONS = {
  Ready: ["Decisions are made", "No decision could be made"],
  ForecastFresh: ["The carbon forecast is fresh", "The carbon forecast is not fresh"],
  BudgetHeld: ["The promise is held", "The promise is broken"],
  ConstraintsMet: ["All constraints are met", "Not all constraints are met"],
  AllFlavoursUseful: ["All flavours are useful", "Some flavours are never worth using"],
};
const REASONS = {
  LastGood: "the last good forecast is used",
  CarbonBlindMix: "nothing is known of carbon: a constant mix within the budget",
};

/** The condition in a person's words; what is only worth knowing is no trouble. */
export function condition(each) {
  const holds = each.status === "True";
  const kind = holds
    ? "good"
    : each.type === "AllFlavoursUseful"
      ? "note"
      : each.type === "ForecastFresh"
        ? "warn"
        : "bad";
  const words = CONDITIONS[each.type] ?? [`${each.type} holds`, `${each.type} does not hold`];
  const said = [REASONS[each.reason], each.message].filter(Boolean).join("; ");
  return { holds, kind, title: words[holds ? 0 : 1], said };
}

export function conditionItem(each) {
  const { kind, title, said } = condition(each);
  return h(
    "li",
    { key: each.type, class: "condition" },
    badge(title, kind),
    " ",
    h("span", { class: "quiet" }, h("code", {}, `${each.type}: ${each.reason}`)),
    said && h("p", {}, said),
  );
}

/** What a person has imposed, as a banner. */
export function imposed(data, time) {
  const said = [];
  if (data.paused) said.push(["paused", "Paused: the best flavour serves everything", data.paused]);
  if (data.override) said.push(["override", "Overridden: a person has imposed these weights", data.override]);
  return said.map(([key, title, each]) =>
    h(
      "div",
      { key, class: "imposed" },
      h("strong", {}, title),
      ", ",
      each.until
        ? ["until ", moment(each.until), ` (${durationText(seconds(each.until) - seconds(time))} left)`]
        : "until somebody resumes",
      each.reason ? [". Reason: ", h("q", {}, each.reason)] : ". No reason was given.",
      key === "override" && data.paused ? " The pause goes first." : "",
    ),
  );
}

/** A section with its heading. */
export function section(id, title, ...children) {
  return h(
    "section",
    { key: id, class: `panel ${id}`, "aria-labelledby": id },
    h("h2", { id, tabindex: "-1" }, title),
    children,
  );
}

/** Terms and what stands for them. */
export function facts(pairs, kind = "facts") {
  return h(
    "dl",
    { class: kind },
    pairs.filter(Boolean).map(([term, ...value]) => h("div", { key: term }, h("dt", {}, term), h("dd", {}, value))),
  );
}

/** A table that scrolls by itself when it is too wide. */
export function scrolling(id, table) {
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": id }, table);
}

export function percentText(weight) {
  return plain(weight / 100);
}
