"""One feed for each source of carbon figures that somebody configured."""

from __future__ import annotations

from pathlib import Path

from controlplane.carbon import (
    CarbonAwareSdkSource,
    CarbonFeed,
    CarbonSource,
    ElectricityMapsSource,
    EnergyChartsSource,
    FileSource,
    GbSource,
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
from scheduler import Trace, TraceError


class Feeds:
    """One feed per distinct carbon section, shared by the services that name it and kept over reloads."""

    def __init__(
        self, clock: Clock, *, archive: IssueArchive | None = None, observed: StateStore | None = None
    ) -> None:
        self._clock = clock
        self._archive = archive
        self._observed = observed
        self._feeds: dict[Carbon, CarbonFeed] = {}

    def get(self, section: Carbon) -> CarbonFeed:
        """The feed for one section, made when first asked for."""
        if section not in self._feeds:
            source = _source(section)
            self._feeds[section] = CarbonFeed(
                source, clock=self._clock, archive=self._archive_for(section), memory=self._memory_for(section, source)
            )
        return self._feeds[section]

    def _memory_for(self, section: Carbon, source: CarbonSource) -> ZoneMemory | None:
        """A recorded file holds its own past."""
        if self._observed is None or isinstance(section, FileCarbon):
            return None
        return ZoneMemory(self._observed, source)

    def _archive_for(self, section: Carbon) -> IssueArchive | None:
        """A recorded file was issued long ago; only what comes from a provider is worth keeping."""
        return None if isinstance(section, FileCarbon) else self._archive

    async def keep_only(self, sections: set[Carbon]) -> None:
        """Close the feeds nobody names any more."""
        # None may be found again, and used, while another is waited for.
        unused = [self._feeds.pop(section) for section in self._feeds.keys() - sections]
        for feed in unused:
            await feed.aclose()


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
