"""What the GB Carbon Intensity API answers with, read row by row.

National: {"data": [{"from", "to", "intensity": {"forecast", "actual", "index"}}]}. Regional: the rows stand in
the `data` of a region, and the region is either `data` itself or its only element.
"""

from math import isnan

from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.grid import Remarks, Row, Rows, epoch_s, intensity
from controlplane.carbon.http import envelope_message

SLOT_S = 1800
MAX_ROWS = 10_000


def parse_answer(document: object, *, remarks: Remarks, source: str = "gb") -> Rows:
    """Return the rows that hold a value, by slot start; what is wrong with the others goes to `remarks`.

    Where two rows share a slot, each value is the later row's if it holds one.

    Raises:
        TemporarySourceError: an error envelope with a code that begins with 5.
        PermanentSourceError: any other error envelope, an unknown shape, or more than `MAX_ROWS` rows.
    """
    listed = _listed(document, source=source)
    if len(listed) > MAX_ROWS:
        raise PermanentSourceError(f"the answer has more than {MAX_ROWS} rows", source=source)
    rows: Rows = {}
    for item in listed:
        found = _row(item, remarks=remarks)
        if found is None:
            continue
        start_s, row = found
        if start_s in rows:
            remarks.add("row repeats a slot")
        rows[start_s] = rows.get(start_s, Row()).updated(row)
    return rows


def _listed(document: object, *, source: str) -> list[object]:
    if not isinstance(document, dict):
        raise PermanentSourceError("the answer is not a JSON object", source=source)
    if document.get("error") is not None:
        raise _enveloped(envelope_message(document), source=source)
    data = document.get("data")
    if isinstance(data, list) and data and _is_region(data[0]):
        if len(data) > 1:
            raise PermanentSourceError(f"the answer has {len(data)} regions instead of one", source=source)
        data = data[0]
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, list):
        raise PermanentSourceError("the answer has no list of rows under 'data'", source=source)
    return data


def _is_region(item: object) -> bool:
    return isinstance(item, dict) and "data" in item


def _enveloped(message: str, *, source: str) -> CarbonSourceError:
    text = f"answered with an error: {message or 'unnamed'}"
    if message.startswith("5"):
        return TemporarySourceError(text, source=source)
    return PermanentSourceError(text, source=source)


def _row(item: object, *, remarks: Remarks) -> tuple[int, Row] | None:
    if not isinstance(item, dict):
        remarks.add("row is no object")
        return None
    start_s, end_s = epoch_s(item.get("from")), epoch_s(item.get("to"))
    if start_s is None or end_s is None:
        remarks.add("row has no readable time")
        return None
    if start_s % SLOT_S or end_s - start_s != SLOT_S:
        remarks.add("row is not half an hour")
        return None
    values = item.get("intensity")
    if not isinstance(values, dict):
        remarks.add("row has no intensity")
        return None
    row = Row(
        forecast_g_per_kwh=intensity(values.get("forecast"), remarks=remarks),
        actual_g_per_kwh=intensity(values.get("actual"), remarks=remarks),
    )
    if isnan(row.forecast_g_per_kwh) and isnan(row.actual_g_per_kwh):
        return None
    return int(start_s), row
