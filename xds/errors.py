"""What can go wrong between a proxy and this server.

XdsError
 └─ BadRequestError   the client broke the protocol; its stream ends with INVALID_ARGUMENT and this message
"""


class XdsError(Exception):
    """The root of this package's errors."""


class BadRequestError(XdsError):
    """The client's request is not one the protocol allows."""
