"""What a person configures, checked field by field; everything here is data, nothing is opened or started."""

from controlplane.config.carbon import Carbon, FileCarbon, GbCarbon
from controlplane.config.file import Config, ConfigError, load_config
from controlplane.config.gateway import Gateway, Status
from controlplane.config.service import Demand, Flavour, Service

__all__ = [
    "Carbon",
    "Config",
    "ConfigError",
    "Demand",
    "FileCarbon",
    "Flavour",
    "Gateway",
    "GbCarbon",
    "Service",
    "Status",
    "load_config",
]
