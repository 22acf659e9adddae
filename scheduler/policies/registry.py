"""Policies by name. Any installed package can add its own under the entry point group `carbonrouter.policies`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from scheduler.policies.base import Policy

GROUP = "carbonrouter.policies"
DEFAULT_POLICY = "optimal"


def policy_names() -> tuple[str, ...]:
    """Names of all policies that are installed, the default first."""
    return tuple(sorted(_found(), key=lambda name: (name != DEFAULT_POLICY, name)))


def policy_named(name: str) -> Policy:
    """The policy of that name; ValueError when there is none or two packages both offer one."""
    offers = _found().get(name)
    if offers is None:
        raise ValueError(f"there is no policy {name!r}; installed are {', '.join(policy_names())}")
    if len(offers) > 1:
        raise ValueError(f"policy {name!r} is offered more than once: {', '.join(sorted(e.value for e in offers))}")
    policy: Policy = offers[0].load()()
    return policy


@cache
def _found() -> dict[str, tuple[EntryPoint, ...]]:
    offers: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        offers.setdefault(entry.name, {})[entry.value] = entry
    return {name: tuple(by_value.values()) for name, by_value in offers.items()}
