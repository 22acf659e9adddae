"""Envoy's discovery protocol: resources, subscriptions, streams. Knows neither carbon nor Kubernetes."""

from xds.codec import encode, pack
from xds.delta import TypeStatus
from xds.errors import BadRequestError, XdsError
from xds.loadreport import ClusterLoad, LoadReport
from xds.resource import Resource, ResourceKey, TypeUrl
from xds.server import XdsServer
from xds.snapshot import InconsistentSnapshotError, Snapshot, SnapshotCache
from xds.syncstatus import ProxyStatus, SyncRegistry

__all__ = [
    "BadRequestError",
    "ClusterLoad",
    "InconsistentSnapshotError",
    "LoadReport",
    "ProxyStatus",
    "Resource",
    "ResourceKey",
    "Snapshot",
    "SnapshotCache",
    "SyncRegistry",
    "TypeStatus",
    "TypeUrl",
    "XdsError",
    "XdsServer",
    "encode",
    "pack",
]
