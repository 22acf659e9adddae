// Addresses after the hash, so that back works and a view can be shared.

import { overview } from "./overview.js";
import { service } from "./service.js";
import { proxies, sources } from "./sources.js";

/** Which view an address names; what is not known is the overview. `bare`: nobody asked for anything
 * yet. `page` stays the same while only the search or the place in a list changes. */
export function routeOf(hash) {
  const [path, query] = hash.replace(/^#/, "").split("?");
  const [first, namespace, name] = path.split("/").filter(Boolean).map(decoded);
  const route = { hash: `#${path}${query ? `?${query}` : ""}`, bare: path === "" || path === "/" };
  if (first === "services" && namespace && name) {
    return {
      ...route,
      name: "service",
      page: `service ${namespace}/${name}`,
      section: "services",
      view: service,
      params: { namespace, name },
    };
  }
  if (first === "sources")
    return { ...route, name: "sources", page: "sources", section: "sources", view: sources, params: {} };
  if (first === "proxies")
    return { ...route, name: "proxies", page: "proxies", section: "proxies", view: proxies, params: {} };
  const params = overview.parse(new URLSearchParams(query ?? ""));
  return { ...route, name: "overview", page: "overview", section: "services", view: overview, params };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
