"""`carbonrouter replay` as a user types it."""

import json
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from scheduler import replay, settings_for

from .support import DATA, day, paper_flavours

# The package of the command also loads what it does not need here, and libraries of others warn at import.
pytestmark = pytest.mark.filterwarnings("ignore")

FLAVOURS_CSV = DATA / "flavours_paper.csv"


def invoke(*arguments, command="replay"):
    from controlplane.cli import replay as commands  # noqa: PLC0415
    from controlplane.cli.errors import CliError  # noqa: PLC0415

    app = typer.Typer()
    app.command()(getattr(commands, command))
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, CliError):  # what `main` does with it
        return SimpleNamespace(exit_code=result.exception.exit_code, stderr=str(result.exception), output="")
    return result


def test_the_command_prints_one_object_per_trace_and_budget():
    traces = [DATA / "camel_m03.csv", DATA / "stable_m06.csv"]
    options = ["--flavours", FLAVOURS_CSV, "--max-error-pct", 1, "--max-error-pct", 4, "-o", "json"]
    objects = json.loads(invoke(*traces, *options).stdout)
    assert [(o["trace"], o["max_error_pct"]) for o in objects] == [(str(t), e) for t in traces for e in (1.0, 4.0)]
    [alone] = replay(day("camel_m03"), paper_flavours(), settings=settings_for(day("camel_m03"), max_error=0.01))
    assert objects[0]["gap_to_clairvoyant_pct"] == alone.gap_to_clairvoyant_pct


def test_the_command_prints_a_table_with_a_mean():
    result = invoke(DATA / "camel_m03.csv", "--flavours", FLAVOURS_CSV, "--max-error-pct", 2)
    assert result.exit_code == 0
    assert "mean" in result.stdout
    assert "0 of 1" in result.stdout


@pytest.mark.parametrize("option", [["--max-error-pct", "101"], ["--max-error-pct", "nan"], ["--guard-pct", "-1"]])
def test_the_command_refuses_percentages_out_of_range(option):
    extra = [] if option[0] == "--max-error-pct" else ["--max-error-pct", "2"]
    result = invoke(DATA / "camel_m03.csv", "--flavours", FLAVOURS_CSV, *option, *extra)
    assert result.exit_code == 2
    assert option[0] in result.stderr


def test_the_command_names_the_bad_cell_and_exits_2(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("time,carbon_actual_g_per_kwh\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,abc\n")
    for path, message in ((bad, "bad.csv:3: column carbon_actual"), (tmp_path / "none.csv", "No such file")):
        result = invoke(path, "--flavours", FLAVOURS_CSV, "--max-error-pct", 2)
        assert result.exit_code == 2
        assert message in result.stderr
        assert "Traceback" not in result.output
