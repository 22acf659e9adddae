"""`/openapi.json`: every operation, its errors as problems, an example of everything that is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.api.requests import FeedbackBody, OverrideBody, PauseBody
from controlplane.catalogue import ServiceRequest
from tests.api.hosts import SHOP, served


async def described(directory: Any) -> dict[str, Any]:
    async with served(directory) as world:
        status, schema = await world.call("GET", "/openapi.json")
        assert status == 200
        return schema


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


async def test_every_error_is_a_problem_and_every_answer_has_a_schema(tmp_path):
    schema = await described(tmp_path)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert {"type", "title", "status", "detail"} <= set(schema["components"]["schemas"]["Problem"]["required"])
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for name, operation in operations(schema):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"] == problem, (name, status)
            elif status != "204":
                assert all(each["schema"] for each in response["content"].values()), (name, status)
        assert {"401", "403", "413", "429", "500"} <= set(operation["responses"]), name
        assert operation["description"], name


def examples_in(schema: dict[str, Any], part: Any) -> bool:
    """Whether there is an example in it or in what it refers to."""
    if isinstance(part, dict):
        if "$ref" in part:
            part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
        return "examples" in part or "example" in part or any(examples_in(schema, each) for each in part.values())
    return isinstance(part, list) and any(examples_in(schema, each) for each in part)


async def test_everything_that_is_sent_has_an_example(tmp_path):
    schema = await described(tmp_path)
    sent = [(name, operation["requestBody"]) for name, operation in operations(schema) if "requestBody" in operation]
    assert len(sent) == 8
    assert [name for name, body in sent if not examples_in(schema, body)] == []


async def test_the_example_of_a_service_makes_one(tmp_path):
    async with served(tmp_path) as world:
        _, schema = await world.call("GET", "/openapi.json")
        put = schema["paths"]["/api/v1/services/{namespace}/{service}"]["put"]
        [example] = put["requestBody"]["content"]["application/json"]["schema"].get("examples") or list(
            put["requestBody"]["content"]["application/json"]["examples"].values()
        )
        assert (await world.call("PUT", SHOP, json=example))[0] == 201


@pytest.mark.parametrize("model", [ServiceRequest, OverrideBody, PauseBody, FeedbackBody])
def test_nothing_that_is_sent_may_hold_what_is_not_known(model):
    assert model.model_json_schema()["additionalProperties"] is False
