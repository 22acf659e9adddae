"""What was asked for over the API: kept as it was sent, found again, never half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.catalogue import Catalogue, ServiceRequest, resolved
from controlplane.config import AnyService, ConfigError, FileCarbon
from controlplane.store import FileStore, PreciousStore, StoreError
from tests.api.hosts import TERMS

SOURCE = FileCarbon(source="file", path=Path("day.csv"))
SOURCES = {"default": SOURCE, "other": FileCarbon(source="file", path=Path("other.csv"))}


@pytest.fixture
def catalogue(tmp_path) -> Catalogue:
    return Catalogue(PreciousStore(tmp_path))


def test_what_was_asked_for_is_found_again_as_it_was_sent(tmp_path, catalogue):
    raw = {**TERMS, "carbon": "other", "valid_for": "90s", "budget": {"max_error_pct": 4, "window": "month"}}
    catalogue.put("ns/shop", raw)
    again = Catalogue(PreciousStore(tmp_path))
    assert again.raw("ns/shop") == raw
    assert again.get("ns/shop") == ServiceRequest.model_validate(raw) == catalogue.get("ns/shop")
    assert again.services(SOURCES) == catalogue.services(SOURCES)
    assert ("ns/shop" in again, len(again), again.get("ns/other"), again.raw("ns/other")) == (True, 1, None, None)
    again.delete("ns/shop")
    assert len(Catalogue(PreciousStore(tmp_path))) == 0
    with pytest.raises(KeyError):
        again.delete("ns/shop")


def test_a_service_is_what_the_same_section_of_a_file_is(catalogue):
    catalogue.put("ns/shop", {**TERMS, "timeout": "3s", "valid_for": "2m"})
    [service] = catalogue.services(SOURCES)
    in_file = {**TERMS, "timeout": "3s", "valid_for": "2m", "name": "shop", "namespace": "ns", "carbon": SOURCE}
    assert service == AnyService.model_validate(in_file)
    assert service.key == "ns/shop"


def test_what_is_no_request_is_not_kept(tmp_path, catalogue):
    with pytest.raises(ValidationError):
        catalogue.put("ns/shop", {**TERMS, "unknown": 1})
    assert len(catalogue) == len(list(tmp_path.iterdir())) == 0


def test_the_same_again_is_not_written_again(tmp_path, catalogue):
    catalogue.put("ns/shop", TERMS)
    before = (tmp_path / "services.json").stat().st_ino
    catalogue.put("ns/shop", json.loads(json.dumps(TERMS)))
    assert (tmp_path / "services.json").stat().st_ino == before


def test_names_of_the_file_and_sources_that_are_gone_are_refused(catalogue):
    catalogue.put("ns/shop", TERMS)
    with pytest.raises(ConfigError, match="made over the API already: ns/shop"):
        catalogue.services(SOURCES, taken=["ns/other", "ns/shop"])
    with pytest.raises(ConfigError, match=r"ns/shop: carbon: no source is called 'default'; there are: other"):
        catalogue.services({"other": SOURCE})
    with pytest.raises(ConfigError, match="none is configured"):
        resolved("ns/shop", ServiceRequest.model_validate(TERMS), {})


class Refusing(FileStore):
    """A disk that is full."""

    full = False

    def save(self, key: str, state: dict[str, Any]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().save(key, state)


def test_what_the_disk_refuses_has_not_happened(tmp_path):
    store = Refusing(tmp_path)
    catalogue = Catalogue(store)
    catalogue.put("ns/shop", TERMS)
    store.full = True
    for change in (
        lambda: catalogue.put("ns/shop", {**TERMS, "timeout": "1s"}),
        lambda: catalogue.put("ns/other", TERMS),
        lambda: catalogue.delete("ns/shop"),
    ):
        with pytest.raises(OSError, match="No space"):
            change()
    for each in (catalogue, Catalogue(FileStore(tmp_path))):
        assert (each.raw("ns/shop"), len(each)) == (TERMS, 1)
        assert each.get("ns/shop") == ServiceRequest.model_validate(TERMS)


def test_what_cannot_be_read_is_refused_and_not_moved(tmp_path):
    (tmp_path / "services.json").write_text("{")
    with pytest.raises(StoreError, match=r"mend .*services\.json, or move it away"):
        Catalogue(PreciousStore(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["services.json"]
