"""What the GB Carbon Intensity API answers with, read row by row.

National: {"data": [{"from", "to", "intensity": {"forecast", "actual", "index"}}]}. Regional: the rows stand in
the `data` of a region, and the region is either `data` itself or its only element.
"""

from collections.abc import Mapping
from math import isnan

from controlplane.carbon.errors import CarbonSourceError, OtherNumbersError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.grid import EARLIEST_S, LATEST_S, Remarks, Row, Rows, Span, asked_for, epoch_s, intensity
from controlplane.carbon.http import envelope_message, printable
from controlplane.carbon.shape import same

SLOT_S = 1800
MAX_ROWS = 10_000
NATIONAL: Mapping[str, str] = {}


def parse_answer(
    document: object,
    *,
    remarks: Remarks,
    asked: Span = (EARLIEST_S, LATEST_S),
    place: Mapping[str, str] = NATIONAL,
    source: str = "gb",
) -> Rows:
    """Return the rows within what was `asked` that hold a value, by slot start; the others go to `remarks`.

    Where two rows share a slot, each value is the later row's if it holds one. `place` is the `regionid` or the
    `postcode` asked for.

    Raises:
        OtherNumbersError: the answer is for another place, or names no region where one was asked for.
        TemporarySourceError: an error envelope with a code that begins with 5.
        PermanentSourceError: any other error envelope, an unknown shape, or more than `MAX_ROWS` rows.
    """
    listed = _listed(document, place=place, source=source)
    if len(listed) > MAX_ROWS:
        raise PermanentSourceError(f"the answer has more than {MAX_ROWS} rows", source=source)
    rows: Rows = {}
    for item in listed:
        found = _row(item, remarks=remarks)
        if found is None:
            continue
        start_s, row = found
        if not asked_for(start_s, asked, period_s=SLOT_S, remarks=remarks):
            continue
        if start_s in rows:
            remarks.add("row repeats a slot")
        rows[start_s] = rows.get(start_s, Row()).updated(row)
    return rows


def _listed(document: object, *, place: Mapping[str, str], source: str) -> list[object]:
    if not isinstance(document, dict):
        raise PermanentSourceError("the answer is not a JSON object", source=source)
    if document.get("error") is not None:
        raise _enveloped(envelope_message(document), source=source)
    data = document.get("data")
    if isinstance(data, list) and data and _is_region(data[0]):
        if len(data) > 1:
            raise PermanentSourceError(f"the answer has {len(data)} regions instead of one", source=source)
        data = data[0]
    region = data if isinstance(data, dict) else {}
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, list):
        raise PermanentSourceError("the answer has no list of rows under 'data'", source=source)
    if data:
        _in_place(region, place, source=source)
    return data


def _in_place(region: Mapping[str, object], place: Mapping[str, str], *, source: str) -> None:
    """Refuse the rows of another place; a postcode need not be repeated, for the region it lies in is."""
    number, outward = region.get("regionid"), region.get("postcode")
    if not place:
        if number is not None:
            shown = printable(str(number), limit=60)
            raise OtherNumbersError(f"asked for all of Great Britain, the answer is for region {shown}", source=source)
    elif "regionid" in place:
        same(str(number), place["regionid"], what="region", source=source)
    elif outward is not None:
        same(str(outward).strip().upper(), place["postcode"], what="postcode", source=source)


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
