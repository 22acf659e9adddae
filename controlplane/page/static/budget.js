// The error budget: what was promised, spent and is left, and how the window before ended.

import { h } from "./dom.js";
import { amount, amountDown, amountUp, durationText, meanError, moment, promised, seconds } from "./format.js";
import { badge, errorMeter, facts, section } from "./parts.js";

export function budget(data) {
  const books = data.budget;
  const [start, end, now] = [books.window_start, books.window_end, data.time].map(seconds);
  const previous = books.previous_window;
  const left = data.reasons?.budget_left_error_requests;
  return section(
    "budget",
    "Error budget",
    h(
      "p",
      { class: "lead" },
      meanError(books.mean_error),
      " mean error, of at most ",
      promised(books.max_error),
      " promised ",
      badge(books.held ? "within the promise so far" : "above the promise so far", books.held ? "good" : "warn"),
    ),
    errorMeter(books.mean_error, books.max_error),
    h(
      "p",
      { key: "tick", class: "quiet" },
      "The tick is the promise: the mean error that all requests of the window may have. ",
      "An error-request is one request at an error of 100 %, or ten at 10 %.",
    ),
    facts([
      [
        "window",
        moment(books.window_start),
        " to ",
        moment(books.window_end),
        ` (${durationText(Math.min(now, end) - start)} of ${durationText(end - start)})`,
      ],
      ["requests", amount(books.requests)],
      ["spent", amountUp(books.error_requests), " error-requests"],
      [
        "credit",
        amountDown(books.credit),
        " error-requests unspent of those granted so far",
        books.carried > 0 && [", of which ", amountDown(books.carried), " were carried over"],
      ],
      left !== undefined && ["left for the rest", amountDown(left), " error-requests, with the requests expected"],
      [
        "window before",
        previous
          ? [
              meanError(previous.mean_error),
              " mean error over ",
              amount(previous.requests),
              " requests ",
              badge(previous.held ? "held" : "OVER", previous.held ? "good" : "bad"),
            ]
          : "nothing was served in it",
      ],
      [
        "closed windows",
        amount(books.windows_closed),
        " since the engine started, ",
        amount(books.windows_exceeded),
        " of them over",
      ],
    ]),
  );
}
