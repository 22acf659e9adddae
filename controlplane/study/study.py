"""A set of replays to be compared: traces x policies x budgets under one window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controlplane.report import SourceNote
from scheduler import Flavour, ReplayResult, Trace, replay, settings_for
from scheduler.issues import ForecastIssues
from scheduler.replay import Deferral


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What to replay; the fields are those of `scheduler.replay.replay` and `settings_for`."""

    traces: tuple[Trace, ...]
    flavours: tuple[Flavour, ...]
    max_errors: tuple[float, ...]
    policies: tuple[str, ...] = ("optimal",)
    window: str = "all"
    rolling: bool = False
    carry_over: float = 0.0
    guard: float | None = None
    seed: int = 0
    lead_s: float | None = None
    issues: ForecastIssues | None = None
    deferral: Deferral | None = None

    @property
    def size(self) -> int:
        """How many replays that is."""
        return len(self.traces) * len(self.policies) * len(self.max_errors)

    def sources(self, *, origin: str = "") -> tuple[SourceNote, ...]:
        """Where the figures of each trace come from, for a report; `origin` is what the person who replays says."""
        return tuple(self._source(trace, origin) for trace in self.traces)

    def _source(self, trace: Trace, origin: str) -> SourceNote:
        return SourceNote(
            name=trace.name,
            kind="synthetic, its own perfect forecast" if trace.origin else "as in the file, which does not say",
            origin="; ".join(filter(None, (trace.origin, origin))),
            licence=trace.licence,
            lead=self._lead(trace),
            notes=tuple(f"bridged {what}" for what in trace.bridged),
        )

    def _lead(self, trace: Trace) -> str:
        if self.issues is not None:
            return "as issued at the time"
        if trace.carbon_forecast is None:
            return "no forecast"
        if self.lead_s is not None:
            return f"the forecast column, seen {self.lead_s / 3600:g} h ahead"
        return "the forecast column, all of it seen from the start"

    def run(self) -> Iterator[tuple[ReplayResult, ...]]:
        """One replay after the other, each with one result per budget window.

        Raises:
            ValueError: a policy or window that does not exist, or a window shorter than a slot.
        """
        for policy in self.policies:
            for trace in self.traces:
                for max_error in self.max_errors:
                    yield self._replay(trace, policy, max_error)

    def _replay(self, trace: Trace, policy: str, max_error: float) -> tuple[ReplayResult, ...]:
        settings = settings_for(
            trace,
            max_error=max_error,
            window=self.window,
            rolling=self.rolling,
            carry_over=self.carry_over,
            guard=self.guard,
            policy=policy,
            seed=self.seed,
        )
        return replay(
            trace,
            self.flavours,
            settings=settings,
            lead_s=self.lead_s,
            issues=self.issues,
            deferral=self.deferral,
            label=f"{self.window} rolling" if self.rolling else self.window,
        )
