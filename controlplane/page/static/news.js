// What changed between two answers that is worth being read out.

import { condition, keyOf } from "./parts.js";

/** Sentences; none at first, and none for figures that move all the time. */
export function news(route, before, after) {
  if (before === null) return [];
  if (route.name === "service") return [...conditionNews(before, after), ...imposedNews(before, after)];
  if (route.name === "overview") return troubleNews(before, after);
  return [];
}

function conditionNews(before, after) {
  const states = new Map(before.conditions.map((each) => [each.type, each.status]));
  return after.conditions
    .filter((each) => (states.get(each.type) ?? "True") !== each.status)
    .map((each) => condition(each).title);
}

function imposedNews(before, after) {
  return [
    ["override", "The override"],
    ["paused", "The pause"],
  ]
    .filter(([what]) => (before[what] === null) !== (after[what] === null))
    .map(([what, name]) => `${name} has ${after[what] === null ? "ended" : "begun"}`);
}

function troubleNews(before, after) {
  const known = new Map(before.services.map((line) => [keyOf(line), words(line)]));
  return after.services
    .filter((line) => known.has(keyOf(line)) && known.get(keyOf(line)) !== words(line))
    .slice(0, 3)
    .map((line) => `${keyOf(line)}: ${words(line) || "well again"}`);
}

function words(line) {
  return line.trouble.map((each) => condition(each).title).join(", ");
}
