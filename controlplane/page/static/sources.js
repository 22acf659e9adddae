// Where carbon figures come from, and how the proxies follow.

import { ask, url } from "./api.js";
import { h } from "./dom.js";
import { amount, durationText, moment } from "./format.js";
import { badge, facts, scrolling } from "./parts.js";

/** How good a source is and what it gives; `each` as the API tells it. */
export function source(each) {
  return facts([
    ["source", h("bdi", {}, each.source), each.zone && [", zone ", h("bdi", {}, each.zone)], " ", badge(each.state)],
    ["figures are", each.age_s === null ? "n/a" : `${durationText(each.age_s)} old`],
    ["kind", each.kind ?? "n/a"],
    ["basis", each.basis ?? "n/a"],
    ["licence", each.licence ?? "n/a"],
    ["asked", amount(each.fetches), " times, ", amount(each.failures), " of them in vain"],
    each.last_error && ["last error", each.last_error],
    [
      "notes",
      each.notes.length
        ? h(
            "ul",
            {},
            each.notes.map((note, index) => h("li", { key: index }, note)),
          )
        : "none",
    ],
  ]);
}

export const sources = {
  everyMs: 1500,
  title: () => "Sources",
  load: (_, signal) => ask(url("sources"), { signal }),
  render: (data) => [
    h("h1", { id: "title", tabindex: "-1", key: "title" }, "Carbon sources"),
    !data
      ? null
      : data.sources.length === 0
        ? h("p", { key: "none" }, "No source is in use.")
        : h(
            "div",
            { key: "list", class: "cards" },
            data.sources.map((each, index) =>
              h(
                "section",
                { key: `${each.source} ${each.zone} ${index}`, class: "panel", "aria-labelledby": `source-${index}` },
                h("h2", { id: `source-${index}` }, h("bdi", {}, [each.source, each.zone].filter(Boolean).join(" "))),
                source(each),
                resting(each),
              ),
            ),
          ),
  ],
};

function resting(each) {
  const more = each.services - each.some_services.length;
  return h(
    "div",
    { class: "resting" },
    h("h3", {}, amount(each.services), each.services === 1 ? " service rests on it" : " services rest on it"),
    h(
      "ul",
      { class: "names" },
      each.some_services.map((key) =>
        h(
          "li",
          { key },
          h("a", { href: `#/services/${key.split("/").map(encodeURIComponent).join("/")}` }, h("bdi", {}, key)),
        ),
      ),
      more > 0 && h("li", { key: "#more" }, `and ${more.toLocaleString("en")} more`),
    ),
  );
}

export const proxies = {
  everyMs: 1500,
  title: () => "Proxies",
  load: (_, signal) => ask(url("proxies"), { signal }),
  render: (data) => [
    h("h1", { id: "title", tabindex: "-1", key: "title" }, "Proxies"),
    data && [
      h(
        "p",
        { key: "count" },
        data.proxies.length === 0
          ? "No proxy is connected: nobody follows the schedule."
          : `${data.proxies.length} connected`,
      ),
      data.proxies.length > 0 && proxyTable(data),
      h(
        "section",
        { key: "feedback", class: "panel", "aria-labelledby": "feedback" },
        h("h2", { id: "feedback" }, "Feedback"),
        facts([
          ["load reports", amount(data.feedback.reports)],
          ["not reported", `${durationText(data.feedback.unreported_seconds)} of proxies' time are in no report`],
          ["failures to save the books", amount(data.feedback.state_write_failures)],
        ]),
      ),
    ],
  ],
};

function proxyTable(data) {
  const types = [...new Set(data.proxies.flatMap((proxy) => Object.keys(proxy.types)))];
  return scrolling(
    "proxies-caption",
    h(
      "table",
      {},
      h(
        "caption",
        { id: "proxies-caption" },
        h(
          "span",
          {},
          "What each proxy has of what was sent: SYNCED, STALE (an answer is outstanding) or NACK (refused)",
        ),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["proxy", "connected since"].map((name) => h("th", { key: name, scope: "col" }, name)),
          types.map((type) => h("th", { key: `t ${type}`, scope: "col" }, type)),
        ),
      ),
      h(
        "tbody",
        {},
        data.proxies.map((proxy) =>
          h(
            "tr",
            { key: proxy.node_id },
            h("th", { scope: "row" }, h("bdi", {}, proxy.node_id)),
            h("td", { class: "when" }, moment(proxy.connected_since)),
            types.map((type) => h("td", { key: `t ${type}` }, proxyType(proxy.types[type]))),
          ),
        ),
      ),
    ),
  );
}

function proxyType(type) {
  if (!type) return "n/a";
  return [
    badge(type.state),
    type.reason && h("p", { key: "reason" }, type.reason),
    type.rejections > 0 && h("small", { key: "rejections" }, ` refused ${type.rejections} times`),
  ];
}
