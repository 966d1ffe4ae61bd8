"""The routes of the page: shell, static files, live news."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.web.control_plane import control_plane

from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace
from perenne.web.assets import Assets


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    with control_plane(workspace) as url:
        yield url


def test_every_address_of_a_page_gives_the_shell(url: str) -> None:
    for path in ("/", "/model", "/model/churn", "/runs/a/b"):
        assert httpx.get(url + path).content == Assets().shell(path)
    answer = httpx.get(f"{url}/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_the_shell_is_asked_for_each_time_and_its_files_never_again(url: str) -> None:
    assert httpx.get(url).headers["cache-control"] == "no-cache"
    path = f"{Assets().prefix}core/main.js"
    answer = httpx.get(url + path)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"
    plain = httpx.get(f"{url}{Assets().prefix}vendor/uplot.js", headers={"accept-encoding": "identity"})
    packed = httpx.get(f"{url}{Assets().prefix}vendor/uplot.js")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


@pytest.mark.parametrize("path", ["/static/0000000000000000/core/main.js", "core/none.js", "../web.py", "core/..%2f..%2fhttp.py"])
def test_nothing_else_is_given(url: str, path: str) -> None:
    answer = httpx.get(url + (path if path.startswith("/") else Assets().prefix + path))
    assert answer.status_code in (400, 404)
    assert "def " not in answer.text


@contextmanager
def news(url: str) -> Iterator[Iterator[str]]:
    with httpx.stream("GET", f"{url}/api/live", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (line for line in answer.iter_lines() if line.startswith("data:"))


def test_whoever_listens_hears_of_each_change(workspace: Workspace, url: str) -> None:
    with news(url) as lines:
        first = next(lines)
        workspace.database.write(lambda tx: add_link(tx, (Kind.RUN, "a"), "used", (Kind.SNAPSHOT, "b")))
        assert next(lines) != first


def test_the_server_ends_although_somebody_listens(workspace: Workspace) -> None:
    heard: list[str] = []
    with control_plane(workspace) as url:
        begun = threading.Event()

        def listen() -> None:
            try:
                with news(url) as lines:
                    begun.set()
                    heard.extend(lines)
            except httpx.HTTPError:
                heard.append("cut")

        listener = threading.Thread(target=listen)
        listener.start()
        assert begun.wait(20)
    listener.join(20)
    assert not listener.is_alive()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", httpx.URL(url).port or 0)) != 0
