"""`carbonrouter carbon-sim`: a carbon provider to try things on."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from controlplane.carbonsim import (
    AnchoredClock,
    Fault,
    Kind,
    Pattern,
    SimOptions,
    Tape,
    pattern_named,
    pattern_names,
    read_pattern,
    recorded,
    serving_sim,
)
from controlplane.carbonsim.moments import any_moment, gb_text
from controlplane.carbonsim.patterns import CUSTOM
from controlplane.carbonsim.tape import SLOT_S
from controlplane.cli.errors import CliError
from controlplane.cli.signals import run_until_signalled
from controlplane.traces import read_trace
from scheduler import TraceError

_DAY = Path(__file__).parents[2] / "examples" / "demo" / "day.csv"
_LISTEN = "127.0.0.1:5000"
_MAX_TOKEN_BYTES = 4096
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|(localhost)):([0-9]{1,5})")


def carbon_sim(  # noqa: PLR0913, PLR0917 - one parameter an option
    trace: Annotated[
        Path | None,
        typer.Option(help="The recording: a CSV as `carbonrouter replay` takes it.", show_default="a built-in day"),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help=f"A pattern in place of a recording: {', '.join(pattern_names())}, or custom with --file.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help='JSON of scenario custom: [80, 120.5] or {"pattern": [...], "repeat": false}.'),
    ] = None,
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT; port 0 takes a free one and says which.")] = _LISTEN,
    start: Annotated[
        str | None,
        typer.Option(
            help="Simulated time at the beginning, ISO 8601.", show_default="where the recording starts, else now"
        ),
    ] = None,
    speed: Annotated[float, typer.Option(help="Simulated seconds in a real second.")] = 1.0,
    anchor: Annotated[
        float | None,
        typer.Option(help="Real time, in epoch seconds, at which the simulated start was.", show_default="now"),
    ] = None,
    noise_pct: Annotated[
        float, typer.Option(min=0, max=100, help="Error of forecasts far ahead, in % (standard deviation).")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise and of faults with a probability.")] = 0,
    outage: Annotated[
        list[str] | None,
        typer.Option(help="FROM/TO, simulated, ISO 8601: nobody is served then. Several times.", show_default=False),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with what Electricity Maps' header auth-token must hold.", show_default="nobody is asked"
        ),
    ] = None,
) -> None:
    """Play recorded days or scenarios as a carbon provider, at any speed, with faults on request.

    The paths are those of the GB Carbon Intensity API (/intensity/...) and of Electricity Maps
    (/v3/carbon-intensity/...). A recording is repeated by whole days over all time. Slots last half an hour of
    simulated time, so that at --speed 900 one passes in two seconds. Actual values are not told before their slot has
    ended. Processes with equal --start, --speed and --anchor agree about the time. / lists all paths.

    Example: carbonrouter carbon-sim --scenario volatile --speed 900

    Then: curl http://127.0.0.1:5000/intensity

    And: curl http://127.0.0.1:5000/faults --json '{"kind": "down", "duration_s": 7200}'

    In carbonrouter.yaml: carbon: {source: gb, base_url: "http://127.0.0.1:5000"}
    """
    host, port = _listen(listen)
    anchor_s = time.time() if anchor is None else anchor
    started_s = _start(start)
    tape = _tape(trace, scenario, file, start_s=anchor_s if started_s is None else started_s)
    if started_s is None:
        started_s = anchor_s if tape.pattern else float(tape.first_slot * SLOT_S)
    plan = _Plan(
        tape=tape,
        clock=_clock(start_s=started_s, speed=speed, anchor_s=anchor_s),
        options=SimOptions(
            noise_pct=noise_pct,
            seed=seed,
            planned=tuple(_outage(text) for text in outage or ()),
            token=None if token_file is None else _token(token_file),
        ),
        host=host,
        port=port,
    )
    if not ipaddress.ip_address(host).is_loopback:
        typer.echo("anybody who reaches this address can change the scenario and cause faults", err=True)
    try:
        run_until_signalled(_serve(plan))
    except OSError as error:
        raise CliError(f"--listen {listen}: cannot be served: {error.strerror or error}") from error
    typer.echo("stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    tape: Tape
    clock: AnchoredClock
    options: SimOptions
    host: str
    port: int


async def _serve(plan: _Plan) -> None:
    async with serving_sim(
        plan.tape, clock=plan.clock, options=plan.options, host=plan.host, port=plan.port
    ) as base_url:
        name = f"scenario {plan.tape.name}" if plan.tape.pattern else plan.tape.name
        now = gb_text(plan.clock.now_s())
        typer.echo(f"carbon-sim serves {base_url} ({name}, {now} at {plan.clock.speed:g} times real time)")
        await asyncio.Event().wait()


def _tape(trace: Path | None, scenario: str | None, file: Path | None, *, start_s: float) -> Tape:
    if trace is not None and scenario is not None:
        raise CliError("--trace and --scenario exclude each other", exit_code=2)
    if (file is not None) != (scenario == CUSTOM):
        raise CliError("--scenario custom and --file need each other", exit_code=2)
    if scenario is not None:
        return _pattern(scenario, file).tape(first_slot=int(start_s // SLOT_S))
    try:
        return recorded(read_trace(trace or _DAY))
    except TraceError as error:
        raise CliError(f"--trace: {error}", exit_code=2) from error


def _pattern(scenario: str, file: Path | None) -> Pattern:
    try:
        return pattern_named(scenario) if file is None else read_pattern(file)
    except ValueError as error:
        raise CliError(f"{'--scenario' if file is None else '--file'}: {error}", exit_code=2) from error


def _listen(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    try:
        host = str(ipaddress.ip_address((match[1] or match[2] or "127.0.0.1") if match else ""))
    except ValueError:
        host = ""
    port = int(match[4]) if match else 0
    if not host or port > 65535:
        problem = "is not ADDRESS:PORT with a literal IP address, such as 127.0.0.1:5000"
        raise CliError(f"--listen: {text[:80]!r} {problem}", exit_code=2)
    return host, port


def _start(text: str | None) -> float | None:
    try:
        return None if text is None else any_moment(text)
    except ValueError as error:
        raise CliError(f"--start: {text!r} is no time such as 2026-01-05T00:00Z", exit_code=2) from error


def _clock(*, start_s: float, speed: float, anchor_s: float) -> AnchoredClock:
    for option, number in (("--speed", speed), ("--anchor", anchor_s)):
        if not math.isfinite(number):
            raise CliError(f"{option}: {number} is not a finite number", exit_code=2)
    if not speed > 0:
        raise CliError(f"--speed: must be positive, not {speed:g}", exit_code=2)
    return AnchoredClock(start_s=start_s, speed=speed, anchor_s=anchor_s)


def _outage(text: str) -> Fault:
    begin, _, end = text.partition("/")
    try:
        from_s, until_s = any_moment(begin), any_moment(end)
    except ValueError:
        from_s = until_s = math.nan
    if not from_s < until_s:
        raise CliError(
            f"--outage: {text[:80]!r} is not FROM/TO, such as 2023-01-01T12:00Z/2023-01-01T14:00Z", exit_code=2
        )
    return Fault(kind=Kind.DOWN, from_s=from_s, until_s=until_s, planned=True)


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise CliError(f"--token-file {path}: cannot be read: {error.strerror or error}", exit_code=2) from error
    token = content.decode("ascii", errors="replace").strip()
    if len(content) > _MAX_TOKEN_BYTES or not re.fullmatch(r"[!-~]+", token):
        raise CliError(f"--token-file {path}: must hold one line of printable ASCII without spaces", exit_code=2)
    return token
