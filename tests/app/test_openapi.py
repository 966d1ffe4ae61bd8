"""The description of the REST API: every route is in it, and what it says is what the routes take and give."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.app.control import control_routes
from perenne.app.door import guarded
from perenne.app.openapi import OWN, describe, described
from perenne.auth.access import Needs, declared, needs
from perenne.auth.roles import Action
from perenne.net.inbound import Room

ROUTES = control_routes()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return describe(ROUTES)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def needs_of(route: Any) -> Needs:
    found = declared(route.endpoint)
    assert found is not None
    return found


def test_every_route_but_those_of_the_page_is_described(document: dict[str, Any]) -> None:
    listed = {(method, path) for method, path, _ in operations(document)}
    for route in ROUTES:
        path = route.path.replace(":path}", "}").replace(":int}", "}")
        for method in (route.methods or set()) - {"HEAD"}:
            assert ((method, path) in listed) == route.path.startswith(OWN), route.path
    assert len(listed) > 40


def test_every_operation_has_a_name_of_its_own_words_and_an_answer(document: dict[str, Any]) -> None:
    found = list(operations(document))
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    for method, path, operation in found:
        assert operation["summary"].endswith("."), path
        assert any(status.startswith("2") for status in operation["responses"]), path
        named = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)


def test_every_reference_leads_to_a_shape(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert not [name for name in references(document) if name.removeprefix("#/components/schemas/") not in shapes]


def test_every_change_says_what_it_reads_and_its_example_is_taken() -> None:
    for route in described(ROUTES):
        needs = needs_of(route)
        if "POST" in (route.methods or ()):
            assert needs.body is not None, route.path
            assert needs.example is not None, route.path
            msgspec.convert(needs.example, needs.body)


def test_roles_are_told_and_what_is_open_to_all_asks_for_no_token(document: dict[str, Any]) -> None:
    stop = document["paths"]["/api/deploy/{deployment}/stop"]["post"]
    assert "deployer, owner" in stop["description"]
    assert document["security"] == [{"token": []}]
    for route in described(ROUTES):
        for method in (route.methods or set()) - {"HEAD"}:
            path = route.path.replace(":path}", "}").replace(":int}", "}")
            asks = document["paths"][path][method.lower()].get("security") != []
            assert asks == (needs_of(route).action is not None), route.path


def test_a_route_that_declares_no_answer_is_described_with_a_free_form() -> None:
    @needs(Action.READ)
    async def something(_: Request) -> Response:
        """Say something."""
        return Response()

    found = describe(guarded([Route("/api/something", something)], 1_000, Room(1)))
    answer = found["paths"]["/api/something"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {}
