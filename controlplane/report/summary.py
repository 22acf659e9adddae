"""Results put together: what one policy did with one promise over all its windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scheduler import Flavour, ReplayResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The plain mean over the windows that have a figure, None without any; `known` of `windows` have one."""

    value: float | None
    known: int
    windows: int

    @property
    def remark(self) -> str:
        """Said only when the mean leaves windows out."""
        return "" if self.known in {0, self.windows} else f"{self.known} of {self.windows} windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All windows of one policy, kind of window, promise and lead, in the order given."""

    policy: str
    window: str
    max_error_pct: float
    lead: str
    results: tuple[ReplayResult, ...]

    @property
    def broken(self) -> tuple[ReplayResult, ...]:
        """The windows in which the promise was broken, the worst first."""
        over = (result for result in self.results if result.over_budget)
        return tuple(sorted(over, key=excess_points, reverse=True))

    @property
    def defers(self) -> bool:
        """Whether requests could wait."""
        return any(
            result.deferred_requests or result.deadlines_missed or result.realised_deferral_gain_pct is not None
            for result in self.results
        )

    @property
    def carries(self) -> bool:
        """Whether any window took unused credit over."""
        return any(result.carried_pct for result in self.results)

    def mean(self, figure: Callable[[ReplayResult], float | None]) -> Mean:
        """Mean of a figure over the windows, each counting the same."""
        known = [value for value in map(figure, self.results) if value is not None]
        value = sum(known) / len(known) if known else None
        return Mean(value=value, known=len(known), windows=len(self.results))

    def total(self, figure: Callable[[ReplayResult], float]) -> float:
        """Sum of a figure over the windows."""
        return sum(map(figure, self.results))


def groups_of(results: Iterable[ReplayResult]) -> tuple[Group, ...]:
    """Group results, in the order in which each kind first appears."""
    groups: dict[tuple[str, str, float, str], list[ReplayResult]] = {}
    for result in results:
        key = (result.policy, result.window, result.max_error_pct, result.lead)
        groups.setdefault(key, []).append(result)
    return tuple(
        Group(policy=policy, window=window, max_error_pct=percent, lead=lead, results=tuple(members))
        for (policy, window, percent, lead), members in groups.items()
    )


def checked(results: Sequence[ReplayResult], flavours: Sequence[Flavour]) -> tuple[ReplayResult, ...]:
    """The results; ValueError when there is none or one was made with another number of flavours."""
    if not results:
        raise ValueError("there is no result to report")
    for result in results:
        if result.served.ndim != 2 or result.served.shape[1] != len(flavours):
            raise ValueError(
                f"{result.trace}: served has shape {result.served.shape}, which is not one column for each of "
                f"{len(flavours)} flavours"
            )
    return tuple(results)


def error_of(result: ReplayResult) -> float | None:
    """Mean error of a window in percent; None when nothing was served, which promises nothing."""
    return result.mean_error_pct if result.requests > 0.0 else None


def excess_points(result: ReplayResult) -> float:
    """Points by which the mean error of the whole window lies above what it was granted (negative: below)."""
    return result.mean_error_pct - result.granted_pct


def verdict(result: ReplayResult) -> str:
    """Whether the promise was kept, in words; the mean alone does not say it for rolling windows and carried credit."""
    above = result.mean_error_pct > result.max_error_pct * (1.0 + 1e-9)
    if result.over_budget:
        return "OVER" if above else "OVER in a stretch inside"
    return "held, with credit carried over" if above else "held"


def clairvoyant_saving(result: ReplayResult) -> float | None:
    """Percent that the clairvoyant bound lies below always best."""
    best = result.always_best_g
    return (1.0 - result.clairvoyant_g / best) * 100.0 if best > 0.0 else None
