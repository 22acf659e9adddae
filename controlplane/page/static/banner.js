// What stands on every view: where one can go, whether the figures are live, and what is wrong.

import { token } from "./api.js";
import { h } from "./dom.js";
import { momentText } from "./format.js";

const NAVIGATION = [
  ["Services", "#/services", "services"],
  ["Sources", "#/sources", "sources"],
  ["Proxies", "#/proxies", "proxies"],
];

export function navigation(section) {
  return h(
    "ul",
    {},
    NAVIGATION.map(([name, href, view]) =>
      h("li", { key: name }, h("a", { href, "aria-current": section === view ? "page" : null }, name)),
    ),
  );
}

/** `link`: {state, since}; `asOf`: the engine's time of what is shown, null before anything is. */
export function linkState(link, asOf, signOut) {
  const words = {
    connecting: "connecting",
    live: "live",
    reconnecting: `reconnecting since ${link.since}`,
    "signed-out": "signed out",
  };
  const known = asOf && `as of ${momentText(asOf)}`;
  return [
    h(
      "span",
      { key: "state", class: `state ${link.state}`, "data-state": link.state },
      h("span", { class: "dot", "aria-hidden": "true" }),
      words[link.state],
    ),
    known && h("span", { key: "as-of", class: "as-of" }, known),
    token() !== null &&
      link.state !== "signed-out" &&
      h("button", { key: "out", type: "button", class: "plain", on: { click: () => signOut() } }, "Sign out"),
  ];
}

export function notice(link, asOf, problem) {
  if (link.state === "reconnecting") {
    const old = asOf
      ? `The figures below are old: as of ${momentText(asOf)} by the engine's clock.`
      : "Nothing is known yet.";
    return h(
      "p",
      { key: "lost", class: "notice" },
      h("strong", {}, "The engine does not answer. "),
      old,
      " Whatever follows its schedule returns to full quality when that ends.",
    );
  }
  if (!problem || link.state === "signed-out") return null;
  return h("p", { key: "problem", class: "notice" }, h("strong", {}, "This could not be loaded. "), problem.message);
}
