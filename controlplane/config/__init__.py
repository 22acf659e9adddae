"""What a person configures, checked field by field; everything here is data, nothing is opened or started."""

from controlplane.config.api import Api, Tls
from controlplane.config.carbon import (
    Carbon,
    CarbonAwareSdkCarbon,
    ElectricityMapsCarbon,
    EnergyChartsCarbon,
    FileCarbon,
    GbCarbon,
    WattTimeCarbon,
)
from controlplane.config.file import DEFAULT_SOURCE, AnyConfig, Config, ConfigError, EngineConfig, load_config
from controlplane.config.gateway import Gateway
from controlplane.config.rehearsal import Rehearsal
from controlplane.config.service import AnyFlavour, AnyService, Demand, Flavour, Processing, Service, ServiceTerms

__all__ = [
    "DEFAULT_SOURCE",
    "AnyConfig",
    "AnyFlavour",
    "AnyService",
    "Api",
    "Carbon",
    "CarbonAwareSdkCarbon",
    "Config",
    "ConfigError",
    "Demand",
    "ElectricityMapsCarbon",
    "EnergyChartsCarbon",
    "EngineConfig",
    "FileCarbon",
    "Flavour",
    "Gateway",
    "GbCarbon",
    "Processing",
    "Rehearsal",
    "Service",
    "ServiceTerms",
    "Tls",
    "WattTimeCarbon",
    "load_config",
]
