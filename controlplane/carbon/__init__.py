"""Carbon intensity from outside: sources, and the feed that keeps the last good series of one."""

from controlplane.carbon.archive import IssueArchive
from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.feed import CarbonFeed, FeedStatus
from controlplane.carbon.file import FileSource
from controlplane.carbon.gb import GbSource
from controlplane.carbon.memory import ZoneMemory
from controlplane.carbon.series import CarbonSeries, CarbonSource

__all__ = [
    "CarbonFeed",
    "CarbonSeries",
    "CarbonSource",
    "CarbonSourceError",
    "FeedStatus",
    "FileSource",
    "GbSource",
    "IssueArchive",
    "PermanentSourceError",
    "TemporarySourceError",
    "ZoneMemory",
]
