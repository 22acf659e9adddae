"""Decides which share of requests each flavour of a service answers, slot by slot, within an error budget.

Pure: numbers in, a Decision out. No network, no clock, no threads, no Kubernetes. Times are Unix epoch seconds.
"""

from scheduler.controller import Controller
from scheduler.counterfactual import Counterfactuals, counterfactuals, served_grams
from scheduler.decision import Decision, Reasons
from scheduler.history import CarbonHistory
from scheduler.ledger import Books, Ledger, over_budget
from scheduler.model import TOTAL_WEIGHT, Flavour, FloatArray, check_flavours, integer_weights
from scheduler.outlook import Outlook
from scheduler.planner import Plan, plan
from scheduler.policies import policy_named, policy_names
from scheduler.replay import ReplayResult, replay, settings_for
from scheduler.settings import ControllerSettings
from scheduler.state import ControllerState
from scheduler.table import TraceError
from scheduler.trace import Trace, parse_flavours, parse_trace
from scheduler.window import BudgetWindow

__all__ = [
    "TOTAL_WEIGHT",
    "Books",
    "BudgetWindow",
    "CarbonHistory",
    "Controller",
    "ControllerSettings",
    "ControllerState",
    "Counterfactuals",
    "Decision",
    "Flavour",
    "FloatArray",
    "Ledger",
    "Outlook",
    "Plan",
    "Reasons",
    "ReplayResult",
    "Trace",
    "TraceError",
    "check_flavours",
    "counterfactuals",
    "integer_weights",
    "over_budget",
    "parse_flavours",
    "parse_trace",
    "plan",
    "policy_named",
    "policy_names",
    "replay",
    "served_grams",
    "settings_for",
]
