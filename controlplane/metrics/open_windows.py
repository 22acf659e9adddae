"""The open windows' grams. Their counterfactuals take a plan each, so a scrape looks at some services in turn."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.accounting import Scenario
from controlplane.metrics.catalogue import LOOKED_AT_PER_SCRAPE

if TYPE_CHECKING:
    from controlplane.session import ServiceSession


@dataclass(frozen=True, slots=True)
class _Look:
    turn: int
    window_start_s: float
    grams: Mapping[Scenario, float]


class OpenWindows:
    """What was last seen of each service's open window."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._turn = 0

    def look(
        self, sessions: Mapping[str, ServiceSession], now_s: float
    ) -> Iterator[tuple[ServiceSession, Mapping[Scenario, float]]]:
        """Look at the services that were not looked at for longest; then all of whose open window something is known.

        With up to `LOOKED_AT_PER_SCRAPE` services everything told is of now.
        """
        self._turn += 1
        self._looks = {key: look for key, look in self._looks.items() if key in sessions}
        for key in heapq.nsmallest(LOOKED_AT_PER_SCRAPE, sessions, key=self._last_turn):
            self._looks[key] = _look(sessions[key], now_s, self._turn)
        for key, session in sessions.items():
            look = self._looks.get(key)
            if look is not None and look.window_start_s == session.window(now_s)[0]:
                yield session, look.grams

    def _last_turn(self, key: str) -> int:
        look = self._looks.get(key)
        return -1 if look is None else look.turn


def _look(session: ServiceSession, now_s: float, turn: int) -> _Look:
    start_s, end_s = session.window(now_s)
    summary = session.summary(start_s, end_s)
    return _Look(
        turn,
        start_s,
        {
            "served": summary.grams,
            "always_best": summary.always_best_g,
            "carbon_blind_mix": summary.carbon_blind_mix_g,
            "clairvoyant": summary.clairvoyant_g,
        },
    )
