// One service: what it does now and why, how its promise is kept, what it saves, and how to step in.

import { ask, url } from "./api.js";
import { course, forgetChosen } from "./course.js";
import { h } from "./dom.js";
import { amount, amountDown, amountUp, carbon, carbonText, durationText, meanError, moment, promised, seconds } from "./format.js";
import { headline } from "./overview.js";
import { badge, conditionItem, errorMeter, facts, flavourOrder, imposed, keyOf, scrolling, section, sharesOf, splitRow } from "./parts.js";
import { savings } from "./savings.js";
import { History } from "./slots.js";
import { source } from "./sources.js";
import { steering } from "./steering.js";

const FEWEST_SLOTS = 96;
const MOST_SLOTS = 2000;
let shown = null;
let history = new History();
let slotsAsked = FEWEST_SLOTS;

export const service = {
  everyMs: 1000,

  title: ({ name }) => name,

  async load({ namespace, name }, signal) {
    const key = `${namespace}/${name}`;
    if (shown !== key) {
      [shown, history, slotsAsked] = [key, new History(), FEWEST_SLOTS];
      forgetChosen();
    }
    const at = url("services", namespace, name);
    const data = await ask(at, { signal });
    flavourOrder(key, Object.keys(data.weights ?? {}));
    flavourOrder(key, data.flavours.map((flavour) => flavour.name));
    const since = history.since(data.budget.window_start);
    const query = since === null ? "" : `?${new URLSearchParams({ since })}`;
    const [past, plan] = await Promise.all([ask(`${at}/history${query}`, { signal }), planned(at, data, signal)]);
    return { ...data, history: history.take(past.slots, data.budget.window_start, since === null), schedule: plan.slots };
  },

  render(data, { namespace, name }, go, redraw) {
    const title = h("div", { key: "head", class: "head" },
      h("p", { class: "crumbs" }, h("a", { href: "#/services" }, "All services")),
      h("h1", { id: "title", tabindex: "-1" }, h("bdi", { class: "quiet" }, `${namespace}/`), h("bdi", {}, name)));
    if (!data) return title;
    return [
      title,
      h("div", { key: "imposed" }, imposed(data, data.time)),
      headline("panel tiles", { ...data.budget, ...data.window, mean_error: data.budget.mean_error, carbon: data.carbon.now_g_per_kwh, served: data.budget.requests > 0 }),
      h("div", { key: "pair", class: "pair" }, present(data), reasons(data)),
      course(data, data.history, data.schedule, redraw),
      h("div", { key: "pair-2", class: "pair" }, budget(data), savings(data)),
      h("div", { key: "pair-3", class: "pair" }, flavours(data), carbonSource(data)),
      steering(data, redraw),
    ];
  },
};

/** The plan as far as the window reaches: how many slots that is the first answer tells. */
async function planned(at, data, signal) {
  const plan = await ask(`${at}/schedule?slots=${slotsAsked}`, { signal });
  const last = plan.slots.at(-1);
  if (!last || plan.slots.length < slotsAsked || slotsAsked >= MOST_SLOTS) return plan;
  const missing = seconds(data.budget.window_end) - seconds(last.end);
  if (missing <= 0) return plan;
  slotsAsked = Math.min(MOST_SLOTS, slotsAsked + Math.ceil(missing / (seconds(last.end) - seconds(last.start))));
  return ask(`${at}/schedule?slots=${slotsAsked}`, { signal });
}

function present(data) {
  const key = keyOf(data);
  const validity = data.valid_until
    ? ["in force until ", moment(data.valid_until), ", then renewed"]
    : "no schedule is in force: proxies serve full quality";
  return section("now", "Now",
    splitRow("commanded", key, data.weights && sharesOf(data.weights), "nothing: the best flavour serves everything"),
    splitRow("measured", key, data.measured_split, "nothing was served in this slot yet"),
    h("p", { key: "until", class: "quiet" }, validity),
    facts([
      ["carbon now", carbon(data.carbon.now_g_per_kwh), data.carbon.expected_range_g_per_kwh && rangeText(data.carbon.expected_range_g_per_kwh)],
      ["policy", data.policy],
      ["demand", data.demand.source],
    ]));
}

function rangeText([low, high]) {
  return `, ${carbonText(low)} to ${carbonText(high)} in four of five cases`;
}

function reasons(data) {
  const order = [...data.conditions].sort((a, b) => (a.status === "True") - (b.status === "True"));
  return section("why", "Why this split",
    h("ul", { key: "why", class: "sentences" }, data.why.map((sentence, index) => h("li", { key: index }, sentence))),
    h("h3", { key: "conditions-title" }, "Conditions"),
    h("ul", { key: "conditions", class: "conditions" }, order.map(conditionItem)));
}

function budget(data) {
  const books = data.budget;
  const [start, end, now] = [books.window_start, books.window_end, data.time].map(seconds);
  const previous = books.previous_window;
  const left = data.reasons?.budget_left_error_requests;
  return section("budget", "Error budget",
    h("p", { class: "lead" }, meanError(books.mean_error), " mean error, of at most ", promised(books.max_error), " promised ",
      badge(books.held ? "within the promise so far" : "above the promise so far", books.held ? "good" : "warn")),
    errorMeter(books.mean_error, books.max_error),
    h("p", { key: "tick", class: "quiet" }, "The tick is the promise: the mean error that all requests of the window may have. An error-request is one request at an error of 100 %, or ten at 10 %."),
    facts([
      ["window", moment(books.window_start), " to ", moment(books.window_end), ` (${durationText(Math.min(now, end) - start)} of ${durationText(end - start)})`],
      ["requests", amount(books.requests)],
      ["spent", amountUp(books.error_requests), " error-requests"],
      ["credit", amountDown(books.credit), " error-requests unspent of those granted so far", books.carried > 0 && [", of which ", amountDown(books.carried), " were carried over"]],
      left !== undefined && ["left for the rest", amountDown(left), " error-requests, with the requests expected"],
      ["window before", previous ? [meanError(previous.mean_error), " mean error over ", amount(previous.requests), " requests ", badge(previous.held ? "held" : "OVER", previous.held ? "good" : "bad")] : "nothing was served in it"],
      ["closed windows", amount(books.windows_closed), " since the engine started, ", amount(books.windows_exceeded), " of them over"],
    ]));
}

function flavours(data) {
  const reported = data.window.energy_j_per_request_reported;
  return section("flavours", "Flavours", scrolling("flavours-caption", h("table", {},
    h("caption", { id: "flavours-caption", class: "unseen" }, "Flavours, best first"),
    h("thead", {}, h("tr", {}, ["flavour", "precision, %", "energy, J per request", "reported, J per request", "endpoints", "served in the window"].map((name, index) =>
      h("th", { key: name, scope: "col", class: index ? "n" : null }, name)))),
    h("tbody", {}, data.flavours.map((each) => h("tr", { key: each.name },
      h("th", { scope: "row" }, h("bdi", {}, each.name)),
      h("td", { class: "n" }, String(Number(each.precision_pct.toPrecision(6)))),
      h("td", { class: "n" }, String(Number(each.energy_j.toPrecision(6)))),
      h("td", { class: "n" }, each.name in reported ? String(Number(reported[each.name].toPrecision(4))) : "n/a"),
      h("td", { class: "n" }, String(each.endpoints)),
      h("td", { class: "n" }, amount(data.window.served[each.name] ?? 0))))))));
}

function carbonSource(data) {
  return section("carbon", "Carbon source", source(data.carbon));
}
