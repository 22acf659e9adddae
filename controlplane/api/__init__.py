"""The control plane over HTTP: asked, steered, watched."""

from controlplane.api.app import create_app
from controlplane.api.server import check_access, serve_api

__all__ = ["check_access", "create_app", "serve_api"]
