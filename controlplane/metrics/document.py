"""docs/metrics.md, printed from the catalogue and the rules."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.accounting import SETTLE_AFTER_S
from controlplane.metrics.catalogue import LABELS, SECTIONS, Family
from controlplane.metrics.rules import RULES, rules_file

_INTRODUCTION = f"""\
# Metrics

Printed by `make docs` from `controlplane/metrics/`; do not edit. `/metrics` at the address `api.listen`
exposes all of them as Prometheus text. What has no value yet is left out.

## What to use for what

| question | use |
|---|---|
| How many requests, joules, errors, now | `rate()` of `carbonrouter_requests_total`, `_energy_joules_total`, \
`_error_requests_total`: counted as reports come in, from zero when the process starts |
| Emissions, SCI, saving over always best | `increase()` of the `carbonrouter_settled_*` and \
`carbonrouter_always_best_*` counters, divided by each other and by nothing else |
| How much of the saving is due to carbon, how far from the optimum | `increase()` of \
`carbonrouter_window_emissions_grams_total` over several windows, scenario by scenario |
| How it stands right now | `carbonrouter_open_window_emissions_grams`; more of it in `/status` |

**Grams are settled.** A slot's requests enter the settled counters, all of them at once, when the slot has ended and
its actual carbon intensity is known. {SETTLE_AFTER_S / 3600:g} hours after its end, or when its window is forgotten,
its forecast must do. The label `intensity` says which. What is counted late for the slot enters with the same
intensity; a figure that a source corrects afterwards changes nothing. Requests of slots without any figure are in
`carbonrouter_requests_without_intensity_total` and nowhere else. So these counters lag, and they never go down: they
are saved with the books and go on over a restart.

**Windows.** Always best is additive, so it is settled by slot. The carbon-blind mix of equal quality and the
clairvoyant bound are defined over a budget window: they are computed once, when the window has ended and its last slot
is settled, at the flavours, promise and carried credit of then. What was served and always best stand beside them for
the same requests, so the four can be compared; they lag by up to a window and more. A rolling promise is judged in
stretches of its length, one after the other. What is counted later for a closed window is in the settled counters only.

**Energy** is the configured `energy_j` of a flavour at the time of counting; what answers report themselves is counted
apart and enters no grams. **Embodied grams** are `embodied_g` of a flavour, the hardware's share of one request (SCI's
M per R; 0 unless configured). They are accounted for and never planned by: the weights do not depend on them.

**Restarts.** Counters outside the two settled sections begin at zero, as counters do.
"""

_LEFT_OUT = """\
## Of k8s-carbonrouter, not here

| theirs | why |
|---|---|
| `consumer_*`, \
`router_messages_published_total` | belong to the buffered path, which this part does not run |
| `router_request_duration_seconds` | Envoy's `envoy_cluster_upstream_rq_time` |
| `router_schedule_valid_seconds` | `carbonrouter_schedule_valid_until_timestamp_seconds - time()` |
"""


def document() -> str:
    """The whole file."""
    parts = [_INTRODUCTION, *(_section(title, families) for title, families in SECTIONS.items()), _labels()]
    return "\n".join([*parts, _LEFT_OUT, _rules()])


def _section(title: str, families: Iterable[Family]) -> str:
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels) or '-'} | {each.unit} "
        f"| {each.text}{_replaced(each)} |"
        for each in families
    ]
    return "\n".join([f"## {title}", "", "| metric | type | labels | unit | |", "|---|---|---|---|---|", *rows, ""])


def _replaced(family: Family) -> str:
    return f" Replaces {', '.join(f'`{name}`' for name in family.replaces)}." if family.replaces else ""


def _labels() -> str:
    rows = [f"| `{name}` | {source} |" for name, source in LABELS.items()]
    return "\n".join(["## Labels", "", "| label | its values |", "|---|---|", *rows, ""])


def _rules() -> str:
    rows = [f"| `{rule.record}` | {rule.text} |" for rule in RULES]
    head = ["## Recording rules for ratios", "", "| recorded | says |", "|---|---|", *rows, ""]
    head += ["Those over 30 days need as much retention (Prometheus keeps 15 days unless told otherwise).", ""]
    return "\n".join([*head, "```yaml", rules_file() + "```", ""])
