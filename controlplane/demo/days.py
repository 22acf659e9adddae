"""Each day's books and records, kept until the demo is over, and the days together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controlplane.accounting import SlotRecord, Summary
from controlplane.accounting.summary import summarise
from controlplane.demo.plan import DemoPlan
from controlplane.session import ServiceSession
from scheduler import Books

Slots = list[tuple[float, SlotRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOutcome:
    """One budget window: its ledger, its slots by their start, and what is to be said of them.

    `summary` is judged with the energy that was planned with, `by_reported_energy` with the mean that answers reported.
    """

    books: Books
    slots: Slots
    summary: Summary
    by_reported_energy: Summary


class DayKeeper:
    """Looks at the windows as they pass: the engine forgets those before the one before."""

    def __init__(self, plan: DemoPlan, session: ServiceSession) -> None:
        self._plan = plan
        self._session = session
        self._kept: dict[float, tuple[Books, Slots]] = {}

    def look(self, now_s: float) -> None:
        """Take what there is of the windows that are kept at `now_s`."""
        kept_since_s = self._session.spec.settings.window.before(now_s)[0]
        for start_s, end_s in self._plan.windows:
            if kept_since_s <= start_s <= now_s:
                self._kept[start_s] = self._session.books(start_s), self._session.account.between(start_s, end_s)

    def days(self) -> tuple[DayOutcome, ...]:
        """What was taken, in order of time."""
        return tuple(self._judged(books, slots) for _, (books, slots) in sorted(self._kept.items()))

    def _judged(self, books: Books, slots: Slots) -> DayOutcome:
        flavours, max_error = self._session.spec.flavours, self._session.spec.settings.max_error
        records = [record for _, record in slots]
        summary = summarise(records, flavours, max_error=max_error)
        told = summary.metered_j_per_request
        reported = [replace(each, energy_j=told.get(each.name, each.energy_j)) for each in flavours]
        return DayOutcome(
            books=books,
            slots=slots,
            summary=summary,
            by_reported_energy=summarise(records, reported, max_error=max_error),
        )


def together(parts: Sequence[Summary]) -> Summary:
    """Several windows as one; each keeps its own budget, so what was possible is the sum of what was possible."""
    if len(parts) == 1:
        return parts[0]
    requests = sum(part.requests for part in parts)
    erred = sum((part.mean_error or 0.0) * part.requests for part in parts)
    names = parts[0].served
    metered = {name for part in parts for name in part.metered_j_per_request}
    return replace(
        parts[0],
        requests=requests,
        failed_attempts=sum(part.failed_attempts for part in parts),
        mean_error=erred / requests if requests else None,
        grams=sum(part.grams for part in parts),
        always_best_g=sum(part.always_best_g for part in parts),
        carbon_blind_mix_g=sum(part.carbon_blind_mix_g for part in parts),
        clairvoyant_g=sum(part.clairvoyant_g for part in parts),
        requests_without_carbon=sum(part.requests_without_carbon for part in parts),
        requests_on_forecast=sum(part.requests_on_forecast for part in parts),
        served={name: sum(part.served[name] for part in parts) for name in names},
        metered_j_per_request={name: _mean_metered(parts, name) for name in metered},
    )


def _mean_metered(parts: Sequence[Summary], name: str) -> float:
    """Joules of an answer over all parts; nearly every answer reports, so answers weigh the parts."""
    weighed = [(part.metered_j_per_request[name], part.served[name]) for part in parts if part.served[name]]
    return sum(joules * count for joules, count in weighed) / sum(count for _, count in weighed)
