"""The days as they pass: a live view on a terminal, one line per slot elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controlplane.demo.load import Tally
from controlplane.demo.plan import DemoPlan
from controlplane.session import ServiceSession

_COLOURS = ("green4", "gold3", "dark_orange3", "deep_sky_blue3", "purple")


class View(Protocol):
    """Somewhere to follow the day."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def stage(self, text: str) -> None:
        """Say what happens next."""

    def page(self, url: str) -> None:
        """Say where the live page is."""

    def tick(self, session: ServiceSession, tally: Tally, now_s: float) -> None:
        """Show how things stand."""


def view_for(console: Console, plan: DemoPlan) -> View:
    """A live view if `console` is a terminal, else a log."""
    return LiveView(console, plan) if console.is_terminal else LogView(console, plan)


class LogView:
    """One line per slot, for files and pipes."""

    def __init__(self, console: Console, plan: DemoPlan) -> None:
        self._console = console
        self._plan = plan
        self._shown = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def stage(self, text: str) -> None:
        """Say what happens next."""
        self._console.print(f"==> {text}", highlight=False)

    def page(self, url: str) -> None:
        """Say where the live page is."""
        self.stage(f"live page: {url}")

    def tick(self, session: ServiceSession, tally: Tally, now_s: float) -> None:
        """Print the slot that has just ended."""
        slot = _slots_done(self._plan, now_s)
        if slot <= self._shown or slot == 0:
            return
        self._shown = slot
        start_s = self._plan.start_s + (slot - 1) * self._plan.trace.slot_s
        record = session.account.peek(start_s)
        used = _budget_used(session, self._plan, start_s)
        carbon = f"{record.carbon:4.0f}" if record.carbon is not None else "   ?"
        self._console.print(
            f"{_clock(start_s, self._plan)}  {carbon} g/kWh  commanded {_shares(session, record.command())}"
            f"  measured {_shares(session, record.split())}  budget used {used:5.1f} %"
            f"  sent {tally.sent}  failed {tally.failed}{_source(session, self._plan, now_s)}",
            highlight=False,
            soft_wrap=True,
        )


class LiveView:
    """The state of things, redrawn in place."""

    def __init__(self, console: Console, plan: DemoPlan) -> None:
        self._plan = plan
        self._live = Live(Text("starting"), console=console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def stage(self, text: str) -> None:
        """Say what happens next."""
        self._live.console.print(f"==> {text}", highlight=False)

    def page(self, url: str) -> None:
        """Say where the live page is."""
        self.stage(f"live page: {url}")

    def tick(self, session: ServiceSession, tally: Tally, now_s: float) -> None:
        """Redraw."""
        self._live.update(self._drawn(session, tally, now_s))

    def _drawn(self, session: ServiceSession, tally: Tally, now_s: float) -> RenderableType:
        plan = self._plan
        record = session.account.peek(min(max(now_s, plan.start_s), plan.end_s - 1))
        lines = Table.grid(padding=(0, 2))
        lines.add_column(justify="right", style="bold")
        lines.add_column()
        done = min(max((now_s - plan.start_s) / (plan.end_s - plan.start_s), 0.0), 1.0)
        lines.add_row(
            "day",
            Group(
                Text(f"{_clock(now_s, plan)} UTC{_source(session, plan, now_s)}"),
                ProgressBar(total=1.0, completed=done, width=60),
            ),
        )
        carbon = "not known yet" if record.carbon_forecast is None else f"{record.carbon_forecast:.0f} g/kWh forecast"
        lines.add_row("carbon", carbon)
        if session.intent is not None:
            weights = {name: weight / 10_000 for name, weight in session.intent.weights.items()}
            lines.add_row("commanded", _bar(session, weights))
        lines.add_row("measured", _bar(session, record.split()))
        used = _budget_used(session, plan, now_s)
        lines.add_row("budget used", Group(Text(f"{used:.1f} %"), ProgressBar(total=100, completed=used, width=60)))
        lines.add_row("requests", f"{tally.sent:,} sent, {tally.answered:,} answered, {tally.failed} failed")
        return Panel(lines, title=f"carbonrouter: {title_of(plan)}", expand=False)


def _bar(session: ServiceSession, shares: Mapping[str, float], width: int = 60) -> Text:
    text = Text()
    for flavour, colour in zip(session.spec.topology.flavours, _COLOURS, strict=False):
        share = shares.get(flavour.name, 0.0)
        text.append("█" * round(share * width), style=colour)
    text.append(f"  {_shares(session, shares)}")
    return text


def _shares(session: ServiceSession, shares: Mapping[str, float]) -> str:
    if not shares:
        return "-".center(24)
    parts = (f"{flavour.name} {100 * shares.get(flavour.name, 0.0):3.0f}" for flavour in session.spec.topology.flavours)
    return " ".join(parts) + " %"


def title_of(plan: DemoPlan) -> str:
    """What is played, in words."""
    if len(plan.windows) == 1:
        return "one recorded day"
    return f"{len(plan.windows)} recorded days"


def _budget_used(session: ServiceSession, plan: DemoPlan, now_s: float) -> float:
    """Error-requests spent so far in the window, in percent of what all of it may spend."""
    start_s, end_s = plan.window_of(now_s)
    expected = plan.requests_between(start_s, end_s) * session.spec.settings.max_error
    return 100 * session.books(start_s).error_requests / expected if expected else 0.0


def _source(session: ServiceSession, plan: DemoPlan, now_s: float) -> str:
    """The state of the source, where it is to be watched."""
    return "" if plan.outage is None else f"  source {session.feed.status(now_s).state}"


def _slots_done(plan: DemoPlan, now_s: float) -> int:
    return min(int((now_s - plan.start_s) // plan.trace.slot_s), plan.trace.carbon_actual.size)


def _clock(time_s: float, plan: DemoPlan) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M" if len(plan.windows) == 1 else "%m-%d %H:%M")
