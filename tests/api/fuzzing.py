"""Requests made from the API's own description, valid and not, and what the answers to them must keep to."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks as openapi

from tests.api import bodies
from tests.api.hosts import SHOP, TERMS

_UNENDING = "/api/v1/events"
_PATH = {"namespace": "default", "service": "shop"}
_KEPT_TO = [
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.unsupported_method,
    openapi.allow_header_conformance,
]
_ONE = "/api/v1/services/{namespace}/{service}"
_MEANT: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("put", _ONE): bodies.services(),
    ("put", f"{_ONE}/override"): bodies.overrides(),
    ("put", f"{_ONE}/pause"): bodies.pauses,
    ("post", f"{_ONE}/feedback"): bodies.feedbacks,
    ("put", "/config/{namespace}/{service}"): bodies.configurations,
    ("post", "/schedule/{namespace}/{service}/manual"): bodies.manuals,
    ("post", "/feedback/{namespace}/{service}"): bodies.counts_of_reference,
}
Operation = APIOperation[Any, Any, Any, Any]


@dataclass(slots=True)
class Fuzzed:
    """Answers by operation and status, and what was wrong with any of them."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return self.answers.total()

    @property
    def operations(self) -> set[str]:
        """What was asked for."""
        return {label for label, _ in self.answers}

    def by_class(self) -> dict[str, int]:
        """Answers by the first digit of their status: 2xx and so on."""
        found = dict.fromkeys(("2xx", "4xx", "5xx"), 0)
        for (_, status), count in self.answers.items():
            found[f"{status // 100}xx"] += count
        return found

    def succeeded(self, operation: str) -> int:
        """How many requests for an operation were answered 2xx."""
        return sum(count for (label, status), count in self.answers.items() if label == operation and status < 300)


def fuzz(url: str, *, examples: int, number: int = 0) -> Fuzzed:
    """Send `examples` requests of each kind for each operation: valid and not, for a service there is and for others.

    Besides those made from the description, bodies that mean something are sent, and such in which one thing has gone
    wrong; after each of these everything there is to see of the service is asked for. `number` chooses which ones; the
    same number always the same. What an answer does wrong is told once for each operation and complaint.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations: list[Operation] = [result.ok() for result in schema.get_all_operations()]
    fuzzed = Fuzzed()
    with requests.Session() as session:
        sender = _Sender(url, session, fuzzed, operations)
        for operation in operations:
            if operation.path != _UNENDING:
                sender.described(operation, examples=examples, number=number)
            if (meant := _MEANT.get((operation.method, operation.path))) is not None:
                for each in (meant, bodies.gone_wrong(meant)):
                    sender.meant(operation, each, examples=examples, number=number)
    return fuzzed


@dataclass(frozen=True, slots=True)
class _Sender:
    url: str
    session: requests.Session
    fuzzed: Fuzzed
    operations: list[Operation]

    def described(self, operation: Operation, *, examples: int, number: int) -> None:
        paths: list[dict[str, Any]] = [{}, {"path_parameters": _PATH}] if "{" in operation.path else [{}]
        for mode in GenerationMode:
            for path in paths:
                cases = operation.as_strategy(generation_mode=mode, **path)
                _run(cases, self._send_to_shop, examples=examples, number=number)

    def meant(self, operation: Operation, sent: st.SearchStrategy[Any], *, examples: int, number: int) -> None:
        def send(body: Any) -> None:
            self._send(_case(operation), data=bodies.sent(body), headers={"Content-Type": "application/json"})
            for each in self.operations:
                if each.method == "get" and each.path.endswith(("{service}", "/schedule", "/history", "/status")):
                    self._send(_case(each))

        self._make()
        _run(sent, send, examples=examples, number=number)

    def _send_to_shop(self, case: Case) -> None:
        if case.method == "DELETE" or "shop" not in requests.get(f"{self.url}/api/v1/services", timeout=30).text:
            self._make()
        self._send(case)

    def _send(self, case: Case, **options: Any) -> None:
        answer = case.call(base_url=self.url, session=self.session, timeout=30, **options)
        label = f"{case.method} {case.operation.path}"
        self.fuzzed.answers[label, answer.status_code] += 1
        told = f"{case.as_curl_command()} {options.get('data', b'')[:2000]!r}"
        try:
            case.validate_response(answer, checks=_KEPT_TO)
        except FailureGroup as error:
            for failure in error.exceptions:
                self.fuzzed.wrong.setdefault(f"{label}: {type(failure).__name__}", f"{failure}\n{told}")
        if answer.status_code >= 400 and "application/problem+json" not in str(answer.headers.get("content-type")):
            self.fuzzed.wrong.setdefault(f"{label}: {answer.status_code} is no problem", told)

    def _make(self) -> None:
        made = self.session.put(self.url + SHOP, json=TERMS, timeout=30)
        assert made.status_code in {200, 201}, made.text


def _case(operation: Operation) -> Case:
    return operation.Case(path_parameters=dict(_PATH) if "{" in operation.path else {})


def _run(cases: st.SearchStrategy[Any], send: Callable[[Any], None], *, examples: int, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def sending(case: Any) -> None:
        send(case)

    # Where nothing could be wrong there are no invalid requests.
    with contextlib.suppress(Unsatisfiable):
        sending()
