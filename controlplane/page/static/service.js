// One service: what it does now and why, how its promise is kept, what it saves, and how to step in.

import { ask, url } from "./api.js";
import { budget } from "./budget.js";
import { course, forgetChosen } from "./course.js";
import { h } from "./dom.js";
import { amount, carbon, carbonText, moment, plain, seconds } from "./format.js";
import { headline } from "./overview.js";
import { conditionItem, facts, flavourOrder, imposed, keyOf, scrolling, section, sharesOf, splitRow } from "./parts.js";
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
    flavourOrder(
      key,
      data.flavours.map((flavour) => flavour.name),
    );
    const since = history.since(data.budget.window_start);
    const query = since === null ? "" : `?${new URLSearchParams({ since })}`;
    const [past, plan] = await Promise.all([ask(`${at}/history${query}`, { signal }), planned(at, data, signal)]);
    return {
      ...data,
      history: history.take(past.slots, data.budget.window_start, since === null),
      schedule: plan.slots,
    };
  },

  render(data, { namespace, name }, go, redraw) {
    const title = h(
      "div",
      { key: "head", class: "head" },
      h("p", { class: "crumbs" }, h("a", { href: "#/services" }, "All services")),
      h("h1", { id: "title", tabindex: "-1" }, h("bdi", { class: "quiet" }, `${namespace}/`), h("bdi", {}, name)),
    );
    if (!data) return title;
    return [
      title,
      h("div", { key: "imposed" }, imposed(data, data.time)),
      headline("panel tiles", {
        ...data.budget,
        ...data.window,
        mean_error: data.budget.mean_error,
        carbon: data.carbon.now_g_per_kwh,
        served: data.budget.requests > 0,
      }),
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
  return section(
    "now",
    "Now",
    splitRow("commanded", key, data.weights && sharesOf(data.weights), "nothing: the best flavour serves everything"),
    splitRow("measured", key, data.measured_split, "nothing was served in this slot yet"),
    h("p", { key: "until", class: "quiet" }, validity),
    facts([
      [
        "carbon now",
        carbon(data.carbon.now_g_per_kwh),
        data.carbon.expected_range_g_per_kwh && rangeText(data.carbon.expected_range_g_per_kwh),
      ],
      ["policy", data.policy],
      ["demand", data.demand.source],
    ]),
  );
}

function rangeText([low, high]) {
  return `, ${carbonText(low)} to ${carbonText(high)} in four of five cases`;
}

function reasons(data) {
  const order = [...data.conditions].sort((a, b) => (a.status === "True") - (b.status === "True"));
  return section(
    "why",
    "Why this split",
    h(
      "ul",
      { key: "why", class: "sentences" },
      data.why.map((sentence, index) => h("li", { key: index }, sentence)),
    ),
    h("h3", { key: "conditions-title" }, "Conditions"),
    h("ul", { key: "conditions", class: "conditions" }, order.map(conditionItem)),
  );
}

function flavours(data) {
  const reported = data.window.energy_j_per_request_reported;
  return section(
    "flavours",
    "Flavours",
    scrolling(
      "flavours-caption",
      h(
        "table",
        {},
        h("caption", { id: "flavours-caption", class: "unseen" }, "Flavours, best first"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            [
              "flavour",
              "precision, %",
              "energy, J per request",
              "reported, J per request",
              "endpoints",
              "served in the window",
            ].map((name, index) => h("th", { key: name, scope: "col", class: index ? "n" : null }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          data.flavours.map((each) =>
            h(
              "tr",
              { key: each.name },
              h("th", { scope: "row" }, h("bdi", {}, each.name)),
              h("td", { class: "n" }, plain(each.precision_pct)),
              h("td", { class: "n" }, plain(each.energy_j)),
              h("td", { class: "n" }, each.name in reported ? plain(reported[each.name]) : "n/a"),
              h("td", { class: "n" }, String(each.endpoints)),
              h("td", { class: "n" }, amount(data.window.served[each.name] ?? 0)),
            ),
          ),
        ),
      ),
    ),
  );
}

function carbonSource(data) {
  return section("carbon", "Carbon source", source(data.carbon));
}
