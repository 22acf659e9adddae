// What the chart and its table show: past slots as they were, the slots to come as they are planned.

import { seconds } from "./format.js";

/**
 * One stretch of time: {start, end (Unix seconds), planned, commanded, measured, forecast, actual}; shares are null
 * where nothing was commanded or measured, carbon is g/kWh or null. The running slot is cut in two at the engine's now.
 */
export function stretches(service, history, schedule) {
  const now = seconds(service.time);
  const past = history
    .map((slot) => ({
      start: seconds(slot.start),
      end: seconds(slot.end),
      planned: false,
      commanded: nonEmpty(slot.commanded),
      measured: nonEmpty(slot.measured),
      forecast: slot.carbon_forecast_g_per_kwh,
      actual: slot.carbon_actual_g_per_kwh,
    }))
    .filter((slot) => slot.start < now)
    .map((slot) => ({ ...slot, end: Math.min(slot.end, now) }));
  const running = past.at(-1);
  if (running && service.weights && !running.commanded && running.end >= now) {
    running.commanded = Object.fromEntries(
      Object.entries(service.weights).map(([name, weight]) => [name, weight / 10_000]),
    );
  }
  const planned = schedule
    .map((slot) => ({
      start: seconds(slot.start),
      end: seconds(slot.end),
      planned: true,
      commanded: slot.shares,
      measured: null,
      forecast: slot.carbon_g_per_kwh,
      actual: null,
    }))
    .filter((slot) => slot.end > now)
    .map((slot) => ({ ...slot, start: Math.max(slot.start, now) }));
  return { past, planned, now };
}

/** From when to when: the budget window, and as far beyond it as is planned, at most one window from now. */
export function extent(service, planned) {
  const start = seconds(service.budget.window_start);
  const end = seconds(service.budget.window_end);
  const foreseen = Math.min(planned.at(-1)?.end ?? end, seconds(service.time) + (end - start));
  return { start, end: Math.max(end, foreseen), windowEnd: end };
}

/** At most `most` stretches: neighbours are joined, each value the mean over the time for which it is known. */
export function thinned(slots, most) {
  const size = Math.ceil(slots.length / Math.max(1, most));
  if (size <= 1) return slots;
  const joined = [];
  for (let at = 0; at < slots.length; at += size) joined.push(mean(slots.slice(at, at + size)));
  return joined;
}

function mean(slots) {
  return {
    start: slots[0].start,
    end: slots.at(-1).end,
    planned: slots[0].planned,
    commanded: meanShares(slots, "commanded"),
    measured: meanShares(slots, "measured"),
    forecast: meanOf(slots, (slot) => slot.forecast),
    actual: meanOf(slots, (slot) => slot.actual),
  };
}

function meanShares(slots, which) {
  const names = new Set(slots.flatMap((slot) => Object.keys(slot[which] ?? {})));
  if (!names.size) return null;
  return Object.fromEntries(
    [...names].map((name) => [name, meanOf(slots, (slot) => (slot[which] ? (slot[which][name] ?? 0) : null))]),
  );
}

function meanOf(slots, value) {
  let [sum, time] = [0, 0];
  for (const slot of slots) {
    const known = value(slot);
    if (known === null || known === undefined) continue;
    sum += known * (slot.end - slot.start);
    time += slot.end - slot.start;
  }
  return time > 0 ? sum / time : null;
}

function nonEmpty(shares) {
  return Object.keys(shares).length ? shares : null;
}

/** What is known of the slots so far, so that only the newest need be asked for again. */
export class History {
  #window = null;
  #slots = new Map();
  #asked = 0;

  /** Since when to ask; null for the whole window: the first time, in a new one, and now and then for late counts. */
  since(windowStart) {
    this.#asked += 1;
    if (this.#window !== windowStart || this.#asked % 30 === 0) return null;
    return [...this.#slots.keys()].at(-2) ?? null;
  }

  take(slots, windowStart, whole) {
    if (whole) this.#slots.clear();
    this.#window = windowStart;
    for (const slot of slots) this.#slots.set(slot.start, slot);
    return [...this.#slots.values()];
  }
}
