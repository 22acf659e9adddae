"""The control plane over HTTP: asked, steered, watched."""

from controlplane.api.app import create_app
from controlplane.api.server import serve_api

__all__ = ["create_app", "serve_api"]
