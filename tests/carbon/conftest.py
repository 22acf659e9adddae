from collections.abc import AsyncIterator

import pytest

from tests.carbon.carbon_fakes import FakeClock, Provider, serving


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with serving() as provider:
        yield provider
