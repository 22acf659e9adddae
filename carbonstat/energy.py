"""The energy of a request, as modelled here and as told to a proxy."""

import json

BASIS = "modelled: CPU seconds x W per core"

# ORCA: a proxy in front sums named metrics over the answers and reports them with its request counts.
# https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto
LOAD_HEADER = "endpoint-load-metrics"
ENERGY_METRIC = "energy_j"


def modelled_joules(*, cpu_s: float, watts_per_core: float) -> float:
    """Return joules for `cpu_s` seconds of one busy core drawing `watts_per_core`."""
    return cpu_s * watts_per_core


def load_report(joules: float) -> str:
    """Return the value of `LOAD_HEADER` for one answer, in ORCA's JSON form."""
    document = {"named_metrics": {ENERGY_METRIC: joules}}
    return f"JSON {json.dumps(document, separators=(',', ':'))}"
