"""Serving the simulation inside an event loop: a process of its own, a test or the demo."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from controlplane.carbonsim.app import create_app
from controlplane.carbonsim.faults import Fault
from controlplane.carbonsim.noise import Noise
from controlplane.carbonsim.provider import Provider
from controlplane.carbonsim.tape import Tape
from controlplane.clock import Clock
from controlplane.web import PromptProtocol, serving

# A client that does not read its answer must not hold the end up.
_STOP_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """How the provider behaves.

    Attributes:
        noise_pct: standard deviation of forecast errors at long leads, in %; see `noise.Noise`.
        seed: of the noise, and of faults that happen with a probability.
        planned: faults that are known beforehand.
        token: what Electricity Maps' header must hold; None lets everybody in.
    """

    noise_pct: float = 0.0
    seed: int = 0
    planned: tuple[Fault, ...] = ()
    token: str | None = None

    def __repr__(self) -> str:
        return f"SimOptions(noise_pct={self.noise_pct!r}, seed={self.seed!r}, planned={self.planned!r})"


class _Protocol(PromptProtocol):
    """Hands each request its connection, which a fault may cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


@contextlib.asynccontextmanager
async def serving_sim(
    tape: Tape, *, clock: Clock, options: SimOptions | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve `tape` by `clock` while the context lasts; gives the base URL. Port 0 takes a free one.

    Raises:
        OSError: the address cannot be bound.
    """
    options = options or SimOptions()
    stopping = asyncio.Event()
    provider = Provider(tape, clock=clock, noise=Noise(pct=options.noise_pct, seed=options.seed))
    app = create_app(provider, token=options.token, planned=options.planned, seed=options.seed, stopping=stopping)
    async with serving(app, address=host, port=port, grace_s=_STOP_S, http=_Protocol) as bound:
        try:
            yield f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        finally:
            stopping.set()
