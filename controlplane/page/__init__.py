"""The live page: what the API tells, for people, as static files that ask nothing of anybody but this server."""

from controlplane.page.router import POLICY, page_router

__all__ = ["POLICY", "page_router"]
