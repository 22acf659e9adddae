// All services, page by page: what each does now, how it keeps its promise, what it saves.

import { ask, url } from "./api.js";
import { h } from "./dom.js";
import { aboveBound, carbon, meanError, promised, saved } from "./format.js";
import { badge, condition, errorMeter, flavourOrder, imposed, keyOf, serviceHref, sharesOf, splitRow } from "./parts.js";

const PAGE = 100;
const TYPING_MS = 250;
let typing = null;

function overviewHref({ search = "", offset = 0 }) {
  const query = new URLSearchParams();
  if (search) query.set("search", search);
  if (offset) query.set("offset", String(offset));
  return `#/services${query.size ? `?${query}` : ""}`;
}

export const overview = {
  everyMs: 1500,

  parse(query) {
    const offset = Number.parseInt(query.get("offset") ?? "0", 10);
    return { search: query.get("search") ?? "", offset: offset > 0 ? offset : 0 };
  },

  title: () => "Services",

  async load({ search, offset }, signal) {
    const query = new URLSearchParams({ search, offset: String(offset), limit: String(PAGE), order: "trouble" });
    const data = await ask(`${url("services")}?${query}`, { signal });
    for (const line of data.services) flavourOrder(keyOf(line), line.flavours);
    return data;
  },

  /** The address may say otherwise than what was typed last: somebody went back. */
  arrived({ search }) {
    const input = document.getElementById("search");
    if (input && input !== document.activeElement) input.value = search;
  },

  render(data, params, go) {
    return [
      h(
        "div",
        { key: "head", class: "head" },
        h("h1", { id: "title", tabindex: "-1" }, "Services"),
        searchBox(params, go),
      ),
      data && list(data, params),
    ];
  },
};

function searchBox(params, go) {
  const search = (event) => {
    clearTimeout(typing);
    const value = event.target.value;
    typing = setTimeout(() => go(overviewHref({ search: value }), { replace: true }), TYPING_MS);
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(typing);
    go(overviewHref({ search: event.target.elements.search.value }), { replace: true });
  };
  return h(
    "form",
    { class: "search", role: "search", on: { submit } },
    h("label", { for: "search" }, "Search by namespace/name ", h("kbd", { "aria-hidden": "true" }, "/")),
    h("input", {
      id: "search",
      name: "search",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      maxlength: "200",
      initial: { value: params.search },
      on: { input: search },
    }),
  );
}

function list(data, params) {
  // The order of names would hide what is in trouble at the end of a page.
  const shown = [...data.services].sort((a, b) => (b.trouble.length > 0) - (a.trouble.length > 0));
  const troubled = shown.filter((line) => line.trouble.length).length;
  return h(
    "div",
    { key: "list" },
    h(
      "p",
      { class: "count", id: "count" },
      countText(data, params),
      troubled > 0 && [
        " ",
        badge(`${troubled} of ${shown.length === data.total ? "them" : "these"} in trouble`, "bad"),
        " shown first",
      ],
    ),
    shown.length > 0 && columnHeads(),
    h(
      "ul",
      { class: "services", "aria-labelledby": "title", on: { keydown: arrows } },
      shown.map((line) => row(line, data.time)),
    ),
    pager(data, params),
  );
}

function countText({ total, services }, { search, offset }) {
  const found = search ? ` with “${search}” in their name` : "";
  if (total === 0) return search ? `No service has “${search}” in its name.` : "No service is configured.";
  if (services.length === total) return `${total.toLocaleString("en")} service${total === 1 ? "" : "s"}${found}`;
  if (services.length === 0) return `${total.toLocaleString("en")} services${found}, none beyond place ${offset}`;
  return `${offset + 1} to ${offset + services.length} of ${total.toLocaleString("en")} services${found}`;
}

function columnHeads() {
  const names = [
    "service",
    "split of requests",
    "carbon now",
    "mean error, of what is promised",
    "saved vs always best",
    "gained vs blind mix",
    "above the bound",
  ];
  return h(
    "div",
    { class: "column-heads", "aria-hidden": "true" },
    names.map((name) => h("span", {}, name)),
  );
}

function row(line, time) {
  const key = keyOf(line);
  const kinds = line.trouble.map((each) => condition(each).kind);
  const worst = kinds.includes("bad") ? "bad" : kinds.length ? "warn" : "";
  return h(
    "li",
    { key, class: `line ${worst}` },
    h(
      "div",
      { class: "who" },
      h(
        "a",
        { class: "service", href: serviceHref(line) },
        h("bdi", { class: "quiet" }, `${line.namespace}/`),
        h("bdi", {}, line.service),
      ),
      h(
        "span",
        { class: "source" },
        badge(line.source_state),
        " ",
        h("bdi", { class: "quiet" }, [line.source, line.zone].filter(Boolean).join(" ")),
      ),
    ),
    h(
      "div",
      { class: "splits" },
      splitRow(
        "commanded",
        key,
        line.weights && sharesOf(line.weights),
        "no schedule in force: proxies serve full quality",
      ),
      splitRow("measured", key, line.measured_split, "nothing in this slot yet"),
    ),
    figures(line),
    (line.trouble.length > 0 || line.paused || line.override) &&
      h(
        "div",
        { class: "notes" },
        line.trouble.map((each) => {
          const { kind, title, said } = condition(each);
          return h("p", { key: each.type, class: "trouble" }, badge(title, kind), said && ` ${said}`);
        }),
        imposed(line, time),
      ),
  );
}

function figures(line) {
  return headline("figures", { ...line, carbon: line.carbon_now_g_per_kwh, served: line.mean_error !== null });
}

/** The figures that tell how a service fares; `served`: whether anything was answered in the window. */
export function headline(kind, of) {
  const why = !of.served ? "no requests" : of.carbon === null ? "carbon not known" : undefined;
  return h(
    "dl",
    { key: kind, class: kind },
    fact("carbon now", carbon(of.carbon)),
    fact(
      "mean error, of what is promised",
      errorMeter(of.mean_error, of.max_error),
      h("span", {}, meanError(of.mean_error), h("span", { class: "quiet" }, " of ", promised(of.max_error))),
    ),
    fact("saved vs always best", saved(of.saving_vs_always_best_pct, why)),
    fact("gained vs carbon-blind mix", saved(of.gain_vs_blind_mix_pct, why)),
    fact("above the clairvoyant bound", aboveBound(of.gap_to_clairvoyant_pct, why)),
  );
}

function fact(term, ...value) {
  return h("div", { key: term }, h("dt", {}, term), h("dd", {}, value));
}

function pager({ total, services }, { search, offset }) {
  const before = offset > 0 && overviewHref({ search, offset: Math.max(0, offset - PAGE) });
  const after =
    offset + services.length < total && services.length > 0 && overviewHref({ search, offset: offset + PAGE });
  if (!before && !after) return null;
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of services" },
    before ? h("a", { key: "before", href: before, rel: "prev" }, `← previous ${PAGE}`) : h("span", { key: "none" }),
    after &&
      h("a", { key: "after", href: after, rel: "next" }, `next ${Math.min(PAGE, total - offset - services.length)} →`),
  );
}

/** Arrow keys, Home and End go from service to service; Tab still does too. */
function arrows(event) {
  const links = [...event.currentTarget.querySelectorAll("a.service")];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (at < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  links[Math.min(Math.max(to, 0), links.length - 1)].focus();
}
