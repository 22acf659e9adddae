"""Command line: `python -m carbonstat --flavour high --port 9001`."""

from typing import Annotated

import typer

from carbonstat import work
from carbonstat.app import Settings
from carbonstat.server import serve

# No variable starts with CARBONSTAT_: Kubernetes sets CARBONSTAT_PORT=tcp://... in every pod beside a Service
# of that name. Nor is one called HOST, which build environments export with a meaning of their own.
FlavourOption = Annotated[work.Flavour, typer.Option(envvar="FLAVOUR", help="How much of the input is read.")]
HostOption = Annotated[str, typer.Option(envvar="BIND_HOST", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="0 picks a free port.")]
NumbersOption = Annotated[int, typer.Option(envvar="NUMBERS", min=4, max=50_000_000, help="Seeded numbers.")]
SeedOption = Annotated[int, typer.Option(envvar="SEED", min=0, help="Seed of the numbers.")]
AlphaOption = Annotated[float, typer.Option(envvar="ALPHA", min=1.01, help="Pareto tail index.")]
WattsOption = Annotated[float, typer.Option(envvar="WATTS_PER_CORE", min=0.0, help="W of one busy core.")]
PrecisionOption = Annotated[
    float | None,
    typer.Option(envvar="PRECISION_PCT", min=0.0, max=100.0, help="Label instead of the measured precision."),
]
WorkersOption = Annotated[int, typer.Option(envvar="WORKERS", min=1, max=64, help="Averaging threads.")]
AccessLogOption = Annotated[bool, typer.Option(envvar="ACCESS_LOG", help="One log line a request.")]


def main(  # noqa: PLR0913, PLR0917 - one parameter an option
    flavour: FlavourOption = work.Flavour.HIGH,
    host: HostOption = "0.0.0.0",  # noqa: S104 - a container is reached from outside
    port: PortOption = 9001,
    numbers: NumbersOption = work.DEFAULT_COUNT,
    seed: SeedOption = work.DEFAULT_SEED,
    alpha: AlphaOption = work.DEFAULT_ALPHA,
    watts_per_core: WattsOption = 10.0,
    precision_pct: PrecisionOption = None,
    workers: WorkersOption = 2,
    access_log: AccessLogOption = False,
) -> None:
    """Serve one flavour of the sample service."""
    settings = Settings(
        flavour=flavour,
        numbers=numbers,
        seed=seed,
        alpha=alpha,
        watts_per_core=watts_per_core,
        precision_pct=precision_pct,
        workers=workers,
    )
    serve(settings, host=host, port=port, access_log=access_log)


if __name__ == "__main__":
    typer.run(main)
