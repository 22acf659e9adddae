"""How the provider says no."""

from __future__ import annotations

from http import HTTPStatus


class ApiError(Exception):
    """Answered with `status` and the message, in the words of whoever is played."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def gb_error(status: int, message: str) -> dict[str, object]:
    """The GB API's envelope: {"error": {"code": "400 Bad Request", "message"}}."""
    return {"error": {"code": f"{status} {HTTPStatus(status).phrase}", "message": message}}


def electricity_maps_error(message: str) -> dict[str, object]:
    """Electricity Maps' envelope: {"error": "Invalid auth-token"}."""
    return {"error": message}
