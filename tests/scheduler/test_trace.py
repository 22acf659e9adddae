"""Every complaint about a file names file, line and column; what is empty is bridged and said."""

import pytest

from scheduler import TraceError, parse_flavours, parse_trace

HEADER = "time,carbon_actual_g_per_kwh,carbon_forecast_g_per_kwh,requests_actual,requests_forecast"
ROWS = [f"2024-01-01T{hour:02d}:00Z,{100 + hour},{101 + hour},{10 + hour},{11 + hour}" for hour in range(5)]


def parse(rows, header=HEADER):
    return parse_trace("\n".join([header, *rows]), name="d.csv")


def changed(line, text):
    return [text if at == line - 2 else row for at, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("line", "row", "message"),
    [
        (4, "2024-01-01T02:00Z,abc,1,1,1", "d.csv:4: column carbon_actual_g_per_kwh: 'abc' is not a number"),
        (4, "2024-01-01T02:00Z,nan,1,1,1", "d.csv:4: column carbon_actual_g_per_kwh: 'nan'"),
        (4, "2024-01-01T02:00Z,1,inf,1,1", "d.csv:4: column carbon_forecast_g_per_kwh: 'inf'"),
        (4, "2024-01-01T02:00Z,1e308,1,1,1", "d.csv:4: column carbon_actual_g_per_kwh: 1e308"),
        (4, "2024-01-01T02:00Z,1,1,-1,1", "d.csv:4: column requests_actual: -1"),
        (4, "yesterday,1,1,1,1", "d.csv:4: column time: 'yesterday'"),
        (4, ",1,1,1,1", "d.csv:4: column time"),
        (4, "2024-01-01T01:00Z,1,1,1,1", "d.csv:4: column time: .* does not come after"),
        (4, "2024-01-01T00:30Z,1,1,1,1", "d.csv:4: column time: .* does not come after"),
        (4, "2024-01-01T02:30Z,1,1,1,1", "d.csv:4: column time: .* 5400 s"),
        (4, "2024-01-01T02:00Z,1,1,1", "d.csv:4: 4 cells"),
        (4, '2024-01-01T02:00Z,"1"x,1,1,1', "d.csv:4: not CSV"),
    ],
)
def test_a_bad_cell_is_named(line, row, message):
    with pytest.raises(TraceError, match=f"^{message}"):
        parse(changed(line, row))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "d.csv: the file is empty"),
        ("time,x\n", "d.csv:1: column carbon_actual_g_per_kwh is missing"),
        ("time,time,carbon_actual_g_per_kwh\n", "d.csv:1: column time appears twice"),
        ("time,carbon_actual_g_per_kwh\n2024-01-01T00:00Z,1\n", "d.csv: .*two rows"),
        (
            "time,carbon_actual_g_per_kwh\n2024-01-01T00:00Z,\n2024-01-01T01:00Z,\n",
            "d.csv: column carbon_actual_g_per_kwh: every cell",
        ),
    ],
)
def test_a_file_that_is_no_trace_is_refused(text, message):
    with pytest.raises(TraceError, match=message):
        parse_trace(text, name="d.csv")


def test_columns_come_in_any_order_and_others_are_ignored():
    trace = parse_trace(
        "\ufeffnote,carbon_actual_g_per_kwh,time\nx,1,2024-01-01T00:00\n\ny,2,2024-01-01T00:05\n", name="d.csv"
    )
    assert (trace.start_s, trace.slot_s) == (1704067200.0, 300.0)
    assert trace.carbon_actual.tolist() == [1.0, 2.0]
    assert trace.carbon_forecast is trace.requests_actual is trace.requests_forecast is None


def test_empty_cells_are_bridged_and_said():
    trace = parse(changed(4, "2024-01-01T02:00Z,,,,5"))
    assert trace.carbon_actual.tolist() == [100, 101, 102, 103, 104]
    assert trace.requests_actual.tolist() == [10, 11, 12, 13, 14]
    assert trace.unseen_carbon == trace.unseen_requests == {2}
    assert trace.bridged == (
        "carbon_actual_g_per_kwh: 1 empty (line 4)",
        "carbon_forecast_g_per_kwh: 1 empty (line 4)",
        "requests_actual: 1 empty (line 4)",
    )


def test_a_huge_file_is_refused_before_it_is_read_whole():
    def endless():
        yield "time,carbon_actual_g_per_kwh\n"
        while True:
            yield "2024-01-01T00:00Z,1\n"

    with pytest.raises(TraceError, match=r"d\.csv:200002: more than"):
        parse_trace(endless(), name="d.csv")


def test_flavours_are_read_in_joules_or_in_milliseconds_at_50_w():
    joules = parse_flavours("error_pct,flavour,energy_j\n4.5,m,3.25\n", name="f.csv")
    millis = parse_flavours("flavour,energy_ms_at_50w,error_pct\nm,65,4.5\n", name="f.csv")
    assert joules == millis
    assert (joules[0].error, joules[0].energy_j) == (0.045, 3.25)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,101", "f.csv:2: column error_pct"),
        ("a,-1,1", "f.csv:2: column energy_j"),
        ("a,,1", "f.csv:2: column energy_j: the cell is empty"),
        ("a,1,1\na,2,2", "f.csv:3: column flavour"),
        ("", "f.csv: no flavour"),
    ],
)
def test_a_bad_flavour_is_named(rows, message):
    with pytest.raises(TraceError, match=message):
        parse_flavours(f"flavour,energy_j,error_pct\n{rows}\n", name="f.csv")
