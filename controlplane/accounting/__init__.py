"""What a service really served, slot by slot, and what that says about emissions.

Counts, carbon and energy are kept apart until somebody asks, so that every printed saving can be recomputed from
them: grams of what was served and grams of each counterfactual come from the same requests.
"""

from controlplane.accounting.account import Account
from controlplane.accounting.records import Basis, FlavourLoad, SlotRecord, Terms
from controlplane.accounting.scenarios import SCENARIOS, Scenario, Spent, scenarios
from controlplane.accounting.settlement import SETTLE_AFTER_S, ClosedWindows, Pending, Settled, back_to_back
from controlplane.accounting.summary import Summary
from controlplane.accounting.tally import Tally

__all__ = [
    "SCENARIOS",
    "SETTLE_AFTER_S",
    "Account",
    "Basis",
    "ClosedWindows",
    "FlavourLoad",
    "Pending",
    "Scenario",
    "Settled",
    "SlotRecord",
    "Spent",
    "Summary",
    "Tally",
    "Terms",
    "back_to_back",
    "scenarios",
]
