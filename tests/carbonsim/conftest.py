from collections.abc import AsyncIterator

import pytest

from tests.carbonsim.sim import Client, simulation


@pytest.fixture
async def client(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Client]:
    """A client of a simulation that plays two recorded days and stands at ten past noon of the first.

    Whatever is done to it, it has nothing to complain about.
    """
    async with simulation() as client:
        yield client
    records = [*caplog.get_records("call"), *caplog.records]
    assert [record.getMessage() for record in records if record.name.startswith("uvicorn")] == []
