"""Carbon intensity from outside: sources, and the feed that keeps the last good series of one."""

from controlplane.carbon.archive import IssueArchive
from controlplane.carbon.credentials import Secret, SecretFile, SecretVariable
from controlplane.carbon.electricity_maps import ElectricityMapsSource
from controlplane.carbon.energy_charts import EnergyChartsSource
from controlplane.carbon.errors import CarbonSourceError, PermanentSourceError, TemporarySourceError
from controlplane.carbon.feed import CarbonFeed, FeedStatus
from controlplane.carbon.file import FileSource
from controlplane.carbon.gb import GbSource
from controlplane.carbon.identity import Identity
from controlplane.carbon.memory import ZoneMemory
from controlplane.carbon.sdk import CarbonAwareSdkSource
from controlplane.carbon.series import Basis, CarbonSeries, CarbonSource, Kind
from controlplane.carbon.watttime import WattTimeSource

__all__ = [
    "Basis",
    "CarbonAwareSdkSource",
    "CarbonFeed",
    "CarbonSeries",
    "CarbonSource",
    "CarbonSourceError",
    "ElectricityMapsSource",
    "EnergyChartsSource",
    "FeedStatus",
    "FileSource",
    "GbSource",
    "Identity",
    "IssueArchive",
    "Kind",
    "PermanentSourceError",
    "Secret",
    "SecretFile",
    "SecretVariable",
    "TemporarySourceError",
    "WattTimeSource",
    "ZoneMemory",
]
