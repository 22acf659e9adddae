"""A set of replays to be compared: traces x policies x budgets under one window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controlplane.report import SourceNote
from scheduler import BudgetWindow, Flavour, ReplayResult, Trace, replay, settings_for
from scheduler.issues import ForecastIssues
from scheduler.replay import WHOLE, Deferral, fitted, lead_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What to replay; the fields are those of `scheduler.replay.replay` and `settings_for`."""

    traces: tuple[Trace, ...]
    flavours: tuple[Flavour, ...]
    max_errors: tuple[float, ...]
    policies: tuple[str, ...] = ("optimal",)
    window: BudgetWindow = WHOLE
    window_name: str = "all"
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
            lead=lead_of(trace, lead_s=self.lead_s, issues=self.issues),
            notes=tuple(f"bridged {what}" for what in trace.bridged),
        )

    def run(self) -> Iterator[tuple[ReplayResult, ...]]:
        """One replay after the other, each with one result per budget window.

        Raises:
            ValueError: a policy that does not exist, or a window shorter than a slot.
        """
        for policy in self.policies:
            for trace in self.traces:
                for max_error in self.max_errors:
                    yield self._replay(trace, policy, max_error)

    def _replay(self, trace: Trace, policy: str, max_error: float) -> tuple[ReplayResult, ...]:
        settings = settings_for(
            trace, max_error=max_error, window=self.window, guard=self.guard, policy=policy, seed=self.seed
        )
        results = replay(
            trace,
            self.flavours,
            settings=settings,
            lead_s=self.lead_s,
            issues=self.issues,
            deferral=self.deferral,
            label=f"{self.window_name} rolling" if self.window.kind == "rolling" else self.window_name,
        )
        cut = self._cut(trace)
        return tuple(replace(result, notes=(*result.notes, *cut)) for result in results)

    def _cut(self, trace: Trace) -> tuple[str, ...]:
        """What a reader must know where the trace fills no window such as was asked for."""
        used = fitted(trace, self.window)
        if self.window.length_s == WHOLE.length_s or (used.kind, used.length_s) == (
            self.window.kind,
            self.window.length_s,
        ):
            return ()
        missing = "holds no whole month" if self.window.kind == "month" else f"is shorter than {self.window_name}"
        return (f"the trace {missing}: one window of {used.length_s / 3600.0:g} h",)
