"""The engine's state as plain data, for the API, the live page, and whoever asks "why this split?"."""

from controlplane.views.engine import engine_view, services_page, sources_view
from controlplane.views.history import history_view
from controlplane.views.proxies import proxy_status
from controlplane.views.schedule import schedule_view
from controlplane.views.service import service_view, summary_view
from controlplane.views.times import iso

__all__ = [
    "engine_view",
    "history_view",
    "iso",
    "proxy_status",
    "schedule_view",
    "service_view",
    "services_page",
    "sources_view",
    "summary_view",
]
