"""Where Envoy fetches things from."""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import AggregatedConfigSource, ApiVersion, ConfigSource


def over_ads() -> ConfigSource:
    """Over the one aggregated stream, so that order is kept between types."""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
