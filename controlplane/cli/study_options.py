"""The options that say what to replay, once for every command that replays."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from controlplane.cli.errors import CliError
from controlplane.study import Study, StudyInputs, read_study
from scheduler import TraceError
from scheduler.replay import PROCESSING
from scheduler.scenarios import scenario_names


def _options(  # noqa: PLR0913, PLR0917 - one parameter per option; typer reads the signature
    max_error_pct: Annotated[
        list[float],
        typer.Option(help="Mean error promised, in %; may be given several times.", show_default=False),
    ],
    traces: Annotated[
        list[Path] | None, typer.Argument(help="CSV files, each replayed on its own (see --join).", show_default=False)
    ] = None,
    flavours: Annotated[
        Path | None,
        typer.Option(
            help="CSV with flavour, error_pct and energy_j (or energy_ms_at_50w).",
            show_default="for scenarios: the reference's",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Who decides; several times, or `all` for every one installed.", show_default="optimal"),
    ] = None,
    window: Annotated[
        str, typer.Option(help="Budget window, as it is configured: 1h to 31d, such as 7d, month; or all of the trace.")
    ] = "all",
    rolling: Annotated[
        bool, typer.Option("--rolling", help="The promise holds over the last window, at every 48th of it.")
    ] = False,
    carry_over_pct: Annotated[
        float, typer.Option(help="Most unused credit the next window takes over, in % of a window's budget.")
    ] = 0.0,
    join: Annotated[
        bool, typer.Option("--join", help="Replay the traces as one, each beginning where the last ended.")
    ] = False,
    lead: Annotated[
        str | None,
        typer.Option(help="How far ahead carbon forecasts are known, such as 48h.", show_default="all of the trace"),
    ] = None,
    forecasts: Annotated[
        Path | None,
        typer.Option(
            help="CSV of forecasts as they were issued: issued, time, carbon_forecast_g_per_kwh.", show_default=False
        ),
    ] = None,
    defer: Annotated[
        str | None,
        typer.Option(help="SHARE:HOURS, as 0.3:6: that share of requests may wait so long.", show_default="none"),
    ] = None,
    processing: Annotated[
        str, typer.Option(help=f"Who decides when waiting requests run: {' or '.join(PROCESSING)}.")
    ] = "release-plan",
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A built-in pattern of the reference system: {', '.join(scenario_names())}, or all.",
            show_default=False,
        ),
    ] = None,
    guard_pct: Annotated[
        float | None,
        typer.Option(help="Deviation of demand, in %, that must not break the promise.", show_default="learned"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What the policy `random` starts from.")] = 0,
) -> StudyInputs:
    return StudyInputs(
        max_error_pct=tuple(max_error_pct),
        traces=tuple(traces or ()),
        flavours=flavours,
        policies=tuple(policy or ("optimal",)),
        window=window,
        rolling=rolling,
        carry_over_pct=carry_over_pct,
        join=join,
        lead=lead,
        forecasts=forecasts,
        defer=defer,
        processing=processing,
        scenarios=tuple(scenario or ()),
        guard_pct=guard_pct,
        seed=seed,
    )


def takes_a_study(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first parameter is a `Study`, all the options that say what to replay.

    The command may raise TraceError for what cannot be replayed.
    """
    shared = inspect.signature(_options).parameters
    own = list(inspect.signature(command).parameters.values())[1:]

    @functools.wraps(command)
    def parsed(**options: Any) -> None:
        chosen = {name: options.pop(name) for name in shared}
        try:
            study: Study = read_study(_options(**chosen))
            command(study, **options)
        except TraceError as error:
            raise CliError(f"carbonrouter {command.__name__}: {error}", exit_code=2) from error

    hints = get_type_hints(_options, include_extras=True) | get_type_hints(command, include_extras=True)
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name])
        for each in (*shared.values(), *own)
    ]
    return _with_signature(parsed, inspect.Signature(parameters))


def _with_signature(command: Callable[..., None], signature: inspect.Signature) -> Callable[..., None]:
    """Let typer, which reads signatures, see another one than that of the wrapper or of what it wraps."""
    command.__dict__.pop("__wrapped__", None)
    command.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    command.__dict__["__signature__"] = signature
    return command
