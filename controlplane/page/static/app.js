// The page: which view is shown, when it is asked for again, and whether what it shows is live.

import { Problem, keepToken } from "./api.js";
import { linkState, navigation, notice } from "./banner.js";
import { h, patch } from "./dom.js";
import { isoOf } from "./format.js";
import { follow } from "./live.js";
import { news } from "./news.js";
import { routeOf } from "./routes.js";
import { announce } from "./say.js";
import { signInForm } from "./signin.js";

const RETRY_MS = 3000;
const RETRY_REFUSED_MS = 10_000;
const REST_AFTER_MS = 60_000;
const CHANGES = {
  connecting: "",
  live: "Live",
  reconnecting: "The engine does not answer; reconnecting",
  "signed-out": "Signed out",
};

const link = { state: "connecting", since: null };
const places = new Map();
let route = routeOf(location.hash);
let data = null;
let problem = null;
let asOf = null;
let loading = null;
let nextLoad = null;
let due = false;
let drawing = false;
let restTimer = null;
let resting = false;

function render() {
  drawing = false;
  patch(document.getElementById("nav"), navigation(route.section));
  patch(document.getElementById("link"), linkState(link, asOf, signOut));
  patch(document.getElementById("notice"), notice(link, asOf, problem));
  const main = document.getElementById("main");
  main.classList.toggle("stale", link.state !== "live" || problem !== null);
  patch(
    document.getElementById("view"),
    link.state === "signed-out"
      ? signInForm(signIn, problem)
      : h(
          "div",
          { key: route.page, class: `view ${route.name}` },
          route.view.render(data, route.params, go, redraw),
          data === null && problem === null && h("p", { key: "wait", class: "quiet wait" }, "Asking the engine…"),
        ),
  );
  const title = `${route.view.title(route.params)} · carbonrouter`;
  if (document.title !== title) document.title = title;
}

/** Draw again with the next frame; `reload`: ask the server first. */
function redraw(how) {
  if (how?.reload) {
    load();
    return;
  }
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(render);
}

async function load() {
  clearTimeout(nextLoad);
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  nextLoad = null;
  due = false;
  const asked = route;
  let wait = route.view.everyMs;
  try {
    const answer = await route.view.load(route.params, mine.signal);
    if (mine.signal.aborted || asked !== route) return;
    for (const said of news(route, data, answer)) announce(said);
    const first = data === null;
    [data, problem, asOf] = [answer, null, answer.time];
    if (first && route.bare && answer.total === 1) {
      const [only] = answer.services;
      go(`#/services/${encodeURIComponent(only.namespace)}/${encodeURIComponent(only.service)}`, { replace: true });
      return;
    }
    render();
    if (first) restorePlace();
  } catch (error) {
    if (mine.signal.aborted || asked !== route) return;
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) setLink("signed-out");
    problem = error;
    due = true;
    wait = error.status >= 400 && error.status < 500 ? RETRY_REFUSED_MS : RETRY_MS;
    redraw();
  } finally {
    if (loading === mine) {
      loading = null;
      nextLoad = setTimeout(() => {
        nextLoad = null;
        if (due) wantLoad();
      }, wait);
    }
  }
}

/** Something has changed: ask again, but not more often than the view can bear, and not for nobody. */
function wantLoad() {
  due = true;
  if (loading === null && nextLoad === null && !document.hidden && link.state !== "signed-out") load();
}

function setLink(state) {
  if (state === link.state) return;
  link.state = state;
  // The engine cannot be asked for the time now, so this one moment is by the browser's clock.
  link.since = isoOf(Date.now() / 1000).slice(11, 19) + " UTC";
  announce(CHANGES[state]);
  redraw();
}

function signIn(value) {
  keepToken(value);
  problem = null;
  link.state = "connecting";
  stream.again();
  load();
  render();
}

function signOut() {
  keepToken(null);
  [data, asOf, problem] = [null, null, null];
  setLink("signed-out");
  stream.again();
}

function go(hash, { replace = false } = {}) {
  if (hash === location.hash) return;
  if (replace) {
    history.replaceState(null, "", hash);
    navigated();
  } else {
    location.hash = hash;
  }
}

function navigated() {
  const before = route;
  route = routeOf(location.hash);
  if (before.page !== route.page) {
    places.set(before.page, { top: scrollY, focus: document.activeElement?.getAttribute("href") });
    [data, problem] = [null, null];
    render();
    scrollTo(0, 0);
    document.getElementById("title")?.focus({ preventScroll: true });
  } else if (document.activeElement?.closest(".pager")) {
    scrollTo(0, 0);
    document.getElementById("title")?.focus({ preventScroll: true });
  }
  route.view.arrived?.(route.params);
  load();
}

/** Back in a list: where one was, on the link one had followed. */
function restorePlace() {
  const place = places.get(route.page);
  if (!place || route.name !== "overview") return;
  places.delete(route.page);
  const followed = [...document.querySelectorAll("a.service")].find(
    (each) => each.getAttribute("href") === place.focus,
  );
  followed?.focus({ preventScroll: true });
  scrollTo(0, place.top);
}

function keys(event) {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
}

addEventListener("hashchange", () => navigated());
addEventListener("keydown", keys);
document.addEventListener("visibilitychange", () => {
  clearTimeout(restTimer);
  if (document.hidden) {
    restTimer = setTimeout(() => {
      resting = link.state === "live";
      if (resting) stream.rest();
    }, REST_AFTER_MS);
    return;
  }
  if (resting) stream.again();
  resting = false;
  if (due) wantLoad();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view, not a place in it
  document.getElementById("main").focus();
});
const stream = follow({ onState: setLink, onChange: wantLoad });
render();
load();
