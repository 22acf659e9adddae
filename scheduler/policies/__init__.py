"""The ways to decide, behind one interface; `optimal` is the default, the others are there to compare with."""

from scheduler.policies.base import LOOKAHEAD_SLOTS, Binding, Policy, Proposal, Situation
from scheduler.policies.registry import DEFAULT_POLICY, policy_named, policy_names

__all__ = [
    "DEFAULT_POLICY",
    "LOOKAHEAD_SLOTS",
    "Binding",
    "Policy",
    "Proposal",
    "Situation",
    "policy_named",
    "policy_names",
]
