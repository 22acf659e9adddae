"""One feed for each source of carbon figures that somebody configured."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from weakref import WeakValueDictionary

from yarl import URL

from controlplane.carbon import (
    CarbonAwareSdkSource,
    CarbonFeed,
    CarbonSource,
    ElectricityMapsSource,
    EnergyChartsSource,
    FileSource,
    GbSource,
    Identity,
    IssueArchive,
    Secret,
    SecretFile,
    SecretVariable,
    WattTimeSource,
    ZoneMemory,
)
from controlplane.clock import Clock
from controlplane.config import (
    Carbon,
    CarbonAwareSdkCarbon,
    ConfigError,
    ElectricityMapsCarbon,
    EnergyChartsCarbon,
    FileCarbon,
    GbCarbon,
    WattTimeCarbon,
)
from controlplane.store import StateStore
from controlplane.traces import read_trace
from controlplane.urls import base_url
from scheduler import Trace, TraceError

# What says where figures are of and what they are stands in an `Identity` by name.
_IN_IDENTITY = frozenset({"source", "zone", "region", "region_id", "postcode", "country", "location", "kind", "basis"})


class Feeds:
    """One feed per distinct carbon section, shared by the services that name it and kept over reloads."""

    def __init__(
        self, clock: Clock, *, archive: IssueArchive | None = None, observed: StateStore | None = None
    ) -> None:
        self._clock = clock
        self._archive = archive
        self._observed = observed
        self._feeds: dict[Carbon, CarbonFeed] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._memories: WeakValueDictionary[Identity, ZoneMemory] = WeakValueDictionary()

    def get(self, section: Carbon) -> CarbonFeed:
        """The feed for one section, made when first asked for."""
        if section not in self._feeds:
            source = _source(section)
            self._feeds[section] = CarbonFeed(
                source,
                clock=self._clock,
                archive=self._archive_for(section),
                memory=self._memory_for(section, source),
                variant=variant_of(section),
            )
        return self._feeds[section]

    def _memory_for(self, section: Carbon, source: CarbonSource) -> ZoneMemory | None:
        """A recorded file holds its own past; sections that differ in their credentials alone have one in common."""
        if self._observed is None or isinstance(section, FileCarbon):
            return None
        variant = variant_of(section)
        made = ZoneMemory(self._observed, source, variant=variant)
        return self._memories.setdefault(Identity.of(source, variant), made)

    def _archive_for(self, section: Carbon) -> IssueArchive | None:
        """A recorded file was issued long ago; only what comes from a provider is worth keeping."""
        return None if isinstance(section, FileCarbon) else self._archive

    def keep_only(self, sections: set[Carbon]) -> None:
        """Close the feeds nobody names any more, in the background: one may hang in a fetch."""
        # None may be found again, and used, while another is waited for.
        unused = [self._feeds.pop(section) for section in self._feeds.keys() - sections]
        for feed in unused:
            closing = asyncio.create_task(feed.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close all, and wait for it."""
        self.keep_only(set())
        await asyncio.gather(*self._closing, return_exceptions=True)


def variant_of(section: Carbon) -> str:
    """What makes a section's figures others than those its source, zone, kind and basis stand for; mostly nothing.

    It holds the host that is asked, the length of slots in seconds, and a hash of all that is not the default.
    Credentials change no figures and are no part of it.
    """
    secret = {f"{name}_{kept}" for name in getattr(section, "secrets", ()) for kept in ("file", "env")}
    others = {
        name: _plain(name, getattr(section, name))
        for name, field in type(section).model_fields.items()
        if name not in secret | _IN_IDENTITY and _plain(name, getattr(section, name)) != _plain(name, field.default)
    }
    if not others:
        return ""
    readable = [URL(others["base_url"]).host or ""] if "base_url" in others else []
    readable += [others["slot"]] if "slot" in others else []
    digest = hashlib.sha256(repr(sorted(others.items())).encode()).hexdigest()
    return "-".join([*readable, digest[:8]])


def _plain(name: str, value: object) -> str:
    """The value in a text that is the same for the same meaning."""
    if isinstance(value, float):
        return f"{value:g}"
    return base_url(value) if name == "base_url" and isinstance(value, str) else str(value)


def checked_trace(path: Path) -> Trace:
    """The recorded trace in `path`.

    Raises:
        ConfigError: it cannot be used.
    """
    try:
        return read_trace(path)
    except TraceError as error:
        raise ConfigError(str(error)) from error


def _source(section: Carbon) -> CarbonSource:
    match section:
        case FileCarbon():
            checked_trace(section.path)  # a mistake in the configuration is said at once, not in a status later
            return FileSource(section.path, repeat=section.repeat)
        case GbCarbon():
            return GbSource(region_id=section.region_id, postcode=section.postcode, base_url=section.base_url)
        case ElectricityMapsCarbon():
            token = _secret(section.token_file, section.token_env)
            return ElectricityMapsSource(zone=section.zone, basis=section.basis, token=token, base_url=section.base_url)
        case WattTimeCarbon():
            return WattTimeSource(
                region=section.region,
                username=_secret(section.username_file, section.username_env),
                password=_secret(section.password_file, section.password_env),
                slot_s=int(section.slot),
                base_url=section.base_url,
            )
        case CarbonAwareSdkCarbon():
            return CarbonAwareSdkSource(
                location=section.location,
                kind=section.kind,
                basis=section.basis,
                slot_s=int(section.slot),
                base_url=section.base_url,
            )
        case EnergyChartsCarbon():
            return EnergyChartsSource(country=section.country, base_url=section.base_url)


def _secret(file: Path | None, variable: str | None) -> Secret:
    """The one of the two that is configured."""
    return SecretFile(file) if file is not None else SecretVariable(variable or "")
