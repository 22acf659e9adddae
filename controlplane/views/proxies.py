"""Connected proxies as plain data."""

from __future__ import annotations

from typing import Any

from controlplane.views.times import iso
from xds import ProxyStatus


def proxy_status(proxy: ProxyStatus) -> dict[str, Any]:
    """One connected proxy: SYNCED, STALE (an answer is outstanding) or NACK per type, with the proxy's reason."""
    return {
        "node_id": proxy.node_id,
        "connected_since": iso(proxy.connected_since_s),
        "types": {
            type_url.rpartition(".")[2]: {
                "state": "NACK" if status.nack else "SYNCED" if status.sent == status.acked else "STALE",
                "sent": status.sent,
                "acked": status.acked,
                "reason": status.nack,
                "rejections": status.nacks,
            }
            for type_url, status in proxy.types.items()
        },
    }
