"""The routes of the reference system (k8s-carbonrouter, snapshot 31c2c5f), so that its clients move without change.

Shapes are its own; what it took without looking is checked here, and what it dropped in silence is named in the answer.
"""

from controlplane.api.reference.router import router

__all__ = ["router"]
