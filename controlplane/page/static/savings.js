// What was saved, beside three counterfactuals on the same requests.

import { h, s } from "./dom.js";
import { aboveBound, amount, grams, gramUnit, saved } from "./format.js";
import { scrolling, section } from "./parts.js";

const MEANINGS = [
  ["always best", "the same requests, all answered by the flavour of least error"],
  ["carbon-blind mix", "the cheapest constant split with the mean error that was really served"],
  [
    "clairvoyant bound",
    "the least possible within the promise, knowing all carbon and requests beforehand; it spends the whole error " +
      "budget, so a service that leaves some of it unspent lies further above",
  ],
];

export function savings(data) {
  const books = data.window;
  if (!books.requests) {
    return section(
      "savings",
      "What was saved",
      h("p", {}, "Nothing was served in this window yet of which the carbon is known."),
    );
  }
  const unit = gramUnit([books.always_best_g, books.carbon_blind_mix_g, books.grams, books.clairvoyant_g]);
  const rows = [
    ["always best", books.always_best_g, ["saved ", saved(books.saving_vs_always_best_pct)], "base"],
    ["carbon-blind mix", books.carbon_blind_mix_g, ["gained ", saved(books.gain_vs_blind_mix_pct)], "base"],
    ["emitted", books.grams, ["what was served"], "ours"],
    [
      "clairvoyant bound",
      books.clairvoyant_g,
      ["emitted lies ", aboveBound(books.gap_to_clairvoyant_pct), " above"],
      "base",
    ],
  ];
  const most = Math.max(...rows.map(([, value]) => value)) || 1;
  return section(
    "savings",
    "What was saved",
    h(
      "p",
      {},
      h("strong", {}, "The carbon-aware gain is the distance to the carbon-blind mix."),
      " The rest of the saving against always best is lower quality, which a constant mix would have given as well.",
    ),
    parted(books, unit),
    scrolling(
      "savings-caption",
      h(
        "table",
        { class: "savings-table" },
        h(
          "caption",
          { id: "savings-caption" },
          h(
            "span",
            {},
            "Emissions of this window's requests so far; savings rounded down, the distance to the bound rounded up",
          ),
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "scenario"),
            h("th", { scope: "col", class: "n" }, "emissions"),
            h("th", { scope: "col" }, "compared"),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map(([name, value, compared, kind]) =>
            h(
              "tr",
              { key: name, class: kind },
              h("th", { scope: "row" }, name),
              h("td", { class: "n" }, grams(value, unit), bar(value / most, kind)),
              h("td", {}, compared),
            ),
          ),
        ),
      ),
    ),
    footnotes(books),
    h(
      "details",
      { key: "meanings" },
      h("summary", {}, "What these are"),
      h(
        "dl",
        {},
        MEANINGS.map(([term, text]) => [h("dt", { key: `t ${term}` }, term), h("dd", { key: `d ${term}` }, text)]),
      ),
    ),
  );
}

/** The saving in two parts, in grams: percentages of different wholes must not be added up. */
function parted(books, unit) {
  const total = books.always_best_g - books.grams;
  const looking = books.carbon_blind_mix_g - books.grams;
  return h(
    "p",
    { key: "parted", class: "parted" },
    grams(total, unit, Math.floor),
    " less than always best: ",
    grams(looking, unit, Math.floor),
    " by looking at carbon, ",
    grams(books.always_best_g - books.carbon_blind_mix_g, unit),
    " by lower quality.",
  );
}

function bar(part, kind) {
  return s(
    "svg",
    { class: "amount", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: `amount-${kind}`, width: Math.max(0, 100 * part), height: 6 }),
  );
}

function footnotes(books) {
  const notes = [];
  if (books.requests_on_forecast > 0) {
    notes.push([
      "forecast",
      amount(books.requests_on_forecast),
      " of ",
      amount(books.requests),
      " requests are still judged on the forecast: their actual carbon is not known yet.",
    ]);
  }
  if (books.requests_without_carbon > 0) {
    notes.push([
      "without",
      amount(books.requests_without_carbon),
      " requests are left out: nothing is known of the carbon of their time.",
    ]);
  }
  if (books.requests_left_out > 0) {
    notes.push([
      "gone",
      amount(books.requests_left_out),
      " more requests were answered by flavours that are no longer listed: they are in no figure here, and no distance to the bound is told.",
    ]);
  }
  if (books.failed_attempts > 0) {
    notes.push([
      "failed",
      amount(books.failed_attempts),
      " attempts failed; another flavour answered, and is counted.",
    ]);
  }
  return (
    notes.length > 0 &&
    h(
      "ul",
      { key: "notes", class: "quiet" },
      notes.map(([key, ...text]) => h("li", { key }, text)),
    )
  );
}
