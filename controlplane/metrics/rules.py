"""Ratios, as recording rules over the counters: Prometheus divides, we count."""

from __future__ import annotations

from dataclasses import dataclass

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One recording rule, and what it says."""

    record: str
    expr: str
    text: str


_BY = "sum by (namespace, service)"


def _increase(name: str, over: str) -> str:
    return f"{_BY} (increase(carbonrouter_{name}[{over}]))"


def _scenario(scenario: str) -> str:
    return _increase(f'window_emissions_grams_total{{scenario="{scenario}"}}', "30d")


RULES = (
    Rule(
        record="service:carbonrouter_sci_grams_per_request:increase1d",
        expr=f"({_increase('settled_emissions_grams_total', '1d')} "
        f"+ {_increase('settled_embodied_grams_total', '1d')}) / {_increase('settled_requests_total', '1d')}",
        text="SCI (ISO/IEC 21031), (E x I + M) per R, g CO2e per request, of what was settled in a day.",
    ),
    Rule(
        record="service:carbonrouter_always_best_sci_grams_per_request:increase1d",
        expr=f"({_increase('always_best_emissions_grams_total', '1d')} "
        f"+ {_increase('always_best_embodied_grams_total', '1d')}) / {_increase('settled_requests_total', '1d')}",
        text="The same, had the best flavour answered everything.",
    ),
    Rule(
        record="service:carbonrouter_saving_ratio:increase1d",
        expr=f"1 - {_increase('settled_emissions_grams_total', '1d')} "
        f"/ {_increase('always_best_emissions_grams_total', '1d')}",
        text="How much less than always best, 0-1. Most of this is lower quality.",
    ),
    Rule(
        record="service:carbonrouter_settled_on_forecast_ratio:increase1d",
        expr=_increase('settled_requests_total{intensity="forecast"}', "1d")
        + f" / {_increase('settled_requests_total', '1d')}",
        text="Which part of the settled requests rests on forecasts, 0-1.",
    ),
    Rule(
        record="service:carbonrouter_served_precision_ratio:rate1h",
        expr=f"1 - {_BY} (rate(carbonrouter_error_requests_total[1h])) / {_BY} (rate(carbonrouter_requests_total[1h]))",
        text="Mean precision of the answers, 0-1.",
    ),
    Rule(
        record="service:carbonrouter_energy_joules_per_request:rate1h",
        expr=f"{_BY} (rate(carbonrouter_energy_joules_total[1h])) / {_BY} (rate(carbonrouter_requests_total[1h]))",
        text="Configured energy of a request, joules.",
    ),
    Rule(
        record="flavour:carbonrouter_reported_energy_joules_per_request:rate1h",
        expr="sum by (namespace, service, flavour) (rate(carbonrouter_reported_energy_joules_total[1h])) "
        "/ sum by (namespace, service, flavour) (rate(carbonrouter_reported_energy_requests_total[1h]))",
        text="Energy that answers reported themselves, joules; to be compared with the configured one.",
    ),
    Rule(
        record="service:carbonrouter_window_saving_ratio:increase30d",
        expr=f"1 - {_scenario('served')} / {_scenario('always_best')}",
        text="How much less than always best, 0-1, in the windows settled in 30 days.",
    ),
    Rule(
        record="service:carbonrouter_window_carbon_gain_ratio:increase30d",
        expr=f"1 - {_scenario('served')} / {_scenario('carbon_blind_mix')}",
        text="The part of the saving that is due to carbon: how much less than a constant mix of equal quality, 0-1.",
    ),
    Rule(
        record="service:carbonrouter_window_clairvoyant_gap_ratio:increase30d",
        expr=f"{_scenario('served')} / {_scenario('clairvoyant')} - 1",
        text="How much more than the least possible within the promise; negative where the promise was broken.",
    ),
    Rule(
        record="service:carbonrouter_budget_credit_error_requests:deriv10m",
        expr="deriv(carbonrouter_budget_credit_error_requests[10m])",
        text="How fast credit is earned (positive) or spent, error-requests per second.",
    ),
)


def rules_file() -> str:
    """The rules as Prometheus loads them."""
    rules = [{"record": rule.record, "expr": rule.expr} for rule in RULES]
    groups = {"groups": [{"name": "carbonrouter", "interval": "1m", "rules": rules}]}
    return yaml.safe_dump(groups, sort_keys=False, width=1000)
