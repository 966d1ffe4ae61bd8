"""MLflow's artifact routes on a real socket: streams, ranges, listings, uploads in parts, and every way out of a root."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from perenne.core.config import load_settings
from perenne.storage.blobs import CHUNK
from perenne.storage.workspace import Workspace

PROXY = "/api/2.0/mlflow-artifacts"
Post = Callable[..., Any]


@pytest.fixture
def root(client: httpx.Client, run: str) -> str:
    """The address of the run's artifacts."""
    uri = client.get("/api/2.0/mlflow/runs/get", params={"run_id": run}).json()["run"]["info"]["artifact_uri"]
    return f"{PROXY}/artifacts/{uri.removeprefix('mlflow-artifacts:/')}"


def stream(data: bytes, size: int = 10_000) -> Any:
    """Send a body in chunks, without its length."""
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 5, 5 << 20])
@pytest.mark.parametrize("announced", [True, False])
def test_bytes_come_back_as_they_were_sent(client: httpx.Client, root: str, size: int, announced: bool) -> None:
    data = os.urandom(size)
    sent = client.put(f"{root}/a/x.bin", content=data if announced else stream(data))
    assert (sent.status_code, sent.content) == (200, b"")
    got = client.get(f"{root}/a/x.bin")
    assert (got.status_code, got.content) == (200, data)
    assert got.headers["content-length"] == str(size)


def test_a_file_is_an_attachment_with_its_name_and_version(client: httpx.Client, root: str, run: str) -> None:
    client.put(f"{root}/größe ä.txt", content=b"some text")
    got = client.get("/get-artifact", params={"run_id": run, "path": "größe ä.txt"})
    assert got.content == b"some text"
    assert (
        got.headers["content-disposition"] == "attachment; filename=\"gre .txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%C3%A4.txt"
    )
    assert (got.headers["content-type"], got.headers["x-content-type-options"]) == ("text/plain", "nosniff")
    assert got.headers["last-modified"].endswith("GMT")
    again = client.get(f"{root}/größe ä.txt", headers={"if-none-match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.put(f"{root}/größe ä.txt", content=b"some text")
    assert client.get(f"{root}/größe ä.txt").headers["etag"] != got.headers["etag"]
    head = client.head(f"{root}/größe ä.txt")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "9", b"")


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-0", 206, slice(0, 1)), ("bytes=10-19", 206, slice(10, 20)), ("bytes=999990-", 206, slice(999_990, None)),
        ("bytes=-7", 206, slice(-7, None)), ("bytes=999999-2000000", 206, slice(999_999, None)), ("bytes=5-2", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)), ("lines=1-2", 200, slice(None)), ("bytes=1000000-", 416, None),
        ("bytes=-0", 416, None),
    ],
)  # fmt: skip
def test_a_part_of_a_file_is_asked_for_by_its_range(
    client: httpx.Client, root: str, asked: str, status: int, expected: slice | None
) -> None:
    data = os.urandom(1_000_000)
    client.put(f"{root}/x", content=data)
    got = client.get(f"{root}/x", headers={"range": asked})
    assert got.status_code == status
    if expected is not None:
        assert got.content == data[expected]
    if status == 206:
        start = range(len(data))[expected][0]  # type: ignore[index]
        assert got.headers["content-range"] == f"bytes {start}-{start + len(got.content) - 1}/1000000"


def test_folders_are_listed_by_name_and_by_path(client: httpx.Client, root: str, run: str) -> None:
    for path in ("model/MLmodel", "model/data/w.bin", "empty", "b ä"):
        client.put(f"{root}/{path}", content=b"" if path == "empty" else b"123")
    where = root.removeprefix(f"{PROXY}/artifacts/")
    by_name = client.get(f"{PROXY}/artifacts", params={"path": f"{where}/model"}).json()["files"]
    assert by_name == [{"path": "MLmodel", "is_dir": False, "file_size": 3}, {"path": "data", "is_dir": True}]
    listed = client.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_id": run}).json()
    assert listed["root_uri"] == f"mlflow-artifacts:/{where}"
    assert [(file["path"], file.get("file_size")) for file in listed["files"]] == [("b ä", 3), ("empty", 0), ("model", None)]
    below = client.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run, "path": "model"}).json()
    assert [file["path"] for file in below["files"]] == ["model/MLmodel", "model/data"]
    for path in ("nowhere", "empty"):
        assert client.get(f"{PROXY}/artifacts", params={"path": f"{where}/{path}"}).json() == {}
    assert client.get(f"{PROXY}/artifacts").json() == {}


def test_what_is_not_there_or_a_folder_is_said_so(client: httpx.Client, root: str, run: str) -> None:
    client.put(f"{root}/model/MLmodel", content=b"x")
    missing = client.get(f"{root}/nope")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert missing.json()["message"] == "No such artifact: 'nope'"
    folder = client.get("/get-artifact", params={"run_uuid": run, "path": "model"})
    assert (folder.status_code, folder.json()["message"]) == (400, "Artifact path refers to a directory, not a file: 'model'")
    assert client.put(f"{root}/model", content=b"x").status_code == 400
    assert client.put(f"{root}/model/MLmodel/x", content=b"x").status_code == 400
    assert client.put(f"{PROXY}/artifacts/0/nobody/artifacts/x", content=b"x").status_code == 404
    assert client.get("/get-artifact", params={"run_id": "nobody", "path": "x"}).status_code == 404
    assert client.get("/get-artifact", params={"path": "x"}).status_code == 400


def test_a_folder_is_deleted_and_its_neighbours_stay(client: httpx.Client, root: str) -> None:
    for path in ("a/x", "a/b/y", "a-b", "c"):
        client.put(f"{root}/{path}", content=b"x")
    assert client.delete(f"{root}/a").json() == {}
    assert client.get(f"{root}/a/b/y").status_code == 404
    assert client.get(f"{root}/a-b").status_code == 200
    assert client.delete(f"{root}/").json() == {}
    assert client.get(f"{root}/c").status_code == 404


ELSEWHERE = [
    "../x", "a/../../x", "%2e%2e/x", "a/%2E%2E/x", "..%2fx", "a%2fb", "a%5cb", "..\\x", "%00", "a%00b", "%252e%252e/x", "a%252fb",
    "a//b", "./x", "a/./b", "%0a", "a%7f", "C:/x", "file:/etc/passwd", "%c0%ae%c0%ae/x", "%ff", "a/..;/x", "x" * 300, "a%23b",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_spelling_of_a_path_leads_out_of_its_root(
    url: str, client: httpx.Client, workspace: Workspace, root: str, path: str
) -> None:
    import http.client

    where = root.removeprefix(f"{PROXY}/artifacts/")
    raw = [
        ("PUT", f"{root}/{path}"),
        ("GET", f"{root}/{path}"),
        ("DELETE", f"{root}/{path}"),
        ("GET", f"{PROXY}/presigned/{where}/{path}"),
    ]
    raw += [("POST", f"{PROXY}/mpu/create/{where}/{path}")]
    for method, target in raw:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        connection.putrequest(method, target, skip_host=False)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status in (400, 404), (method, target, answer.status, body)
        assert b"error_code" in body
    assert list(workspace.blobs.ids()) == []


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../b", "a\\b", "%2e%2e/x", "a//b", "s3://bucket/x", "a\0b", "a#b", ".."]
)
def test_no_field_leads_out_of_its_root(client: httpx.Client, run: str, path: str) -> None:
    asked = [
        client.get("/get-artifact", params={"run_id": run, "path": path}),
        client.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run, "path": path}),
        client.get(f"{PROXY}/artifacts", params={"path": path}),
        client.post("/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": run, "path": path}, content=b"x"),
        client.post("/api/2.0/mlflow/artifacts/presigned-download-url", json={"run_id": run, "path": path}),
        client.post("/api/2.0/mlflow/artifacts/presigned-upload-url", json={"run_id": run, "path": path}),
        client.get("/ajax-api/2.0/mlflow/get-trace-artifact", params={"request_id": "tr-1", "path": path}),
        client.get("/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files", params={"artifact_file_path": path}),
        client.get(f"/api/runs/{run}/artifacts", params={"path": path}),
        client.get(f"/api/runs/{run}/artifacts/raw", params={"path": path}),
    ]
    for answer in asked:
        assert answer.status_code in (400, 404), (answer.request.url, answer.text)
        assert answer.json()["error_code"]


def test_a_large_file_goes_up_in_parts_and_is_there_whole(client: httpx.Client, root: str, url: str) -> None:
    where = root.removeprefix(f"{PROXY}/artifacts/")
    parts = [os.urandom(300_000), os.urandom(300_000), b"end"]
    begun = client.post(
        f"{PROXY}/mpu/create/{where}/big", json={"path": "/home/me/x.bin", "num_parts": 3}, headers={"authorization": "Bearer t"}
    ).json()
    assert [credential["part_number"] for credential in begun["credentials"]] == [1, 2, 3]
    assert begun["credentials"][0]["headers"] == {"Authorization": "Bearer t"}
    assert begun["credentials"][0]["url"].startswith(f"{url}{PROXY}/mpu/part/")

    def send(number: int) -> dict[str, Any]:
        address = begun["credentials"][number]["url"]
        answer = httpx.put(address, content=parts[number], timeout=60)
        assert answer.status_code == 200
        return {"part_number": number + 1, "etag": answer.headers["etag"], "url": address}

    with ThreadPoolExecutor(3) as pool:
        sent = list(pool.map(send, reversed(range(3))))
    assert client.get(f"{root}/big/x.bin").status_code == 404
    ending = {"path": "/home/me/x.bin", "upload_id": begun["upload_id"], "parts": sent}
    assert client.post(f"{PROXY}/mpu/complete/{where}/elsewhere", json=ending).status_code == 400
    assert client.post(f"{PROXY}/mpu/complete/{where}/big", json=ending).json() == {}
    assert client.get(f"{root}/big/x.bin").content == b"".join(parts)
    assert client.post(f"{PROXY}/mpu/complete/{where}/big", json=ending).status_code == 404


def test_parts_that_lack_or_were_given_up_are_no_file(client: httpx.Client, root: str) -> None:
    where = root.removeprefix(f"{PROXY}/artifacts/")
    begun = client.post(f"{PROXY}/mpu/create/{where}", json={"path": "x", "num_parts": "2"}).json()
    httpx.put(begun["credentials"][1]["url"], content=b"second")
    ending = {"path": "x", "upload_id": begun["upload_id"], "parts": [{"part_number": 2}]}
    lacking = client.post(f"{PROXY}/mpu/complete/{where}", json=ending)
    assert lacking.status_code == 409
    assert "first part 1" in lacking.json()["message"]
    assert client.post(f"{PROXY}/mpu/abort/{where}", json=ending).json() == {}
    assert httpx.put(begun["credentials"][0]["url"], content=b"first").status_code == 404
    assert client.get(f"{root}/x").status_code == 404
    for count in (0, -1, 10_001, "x"):
        assert client.post(f"{PROXY}/mpu/create/{where}", json={"path": "x", "num_parts": count}).status_code == 400


def test_a_folder_signs_nothing_and_says_what_mlflow_says(client: httpx.Client, root: str, run: str, post: Post) -> None:
    client.put(f"{root}/x", content=b"1")
    where = root.removeprefix(f"{PROXY}/artifacts/")
    signed = client.get(f"{PROXY}/presigned/{where}/x")
    assert (signed.status_code, signed.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    for path in ("presigned-upload-url", "presigned-download-url"):
        answer = client.post(f"/api/2.0/mlflow/artifacts/{path}", json={"run_id": run, "path": "x"})
        assert answer.status_code == 400
        assert "is not supported for" in answer.json()["message"]
    both = client.post("/api/2.0/mlflow/artifacts/presigned-upload-url", json={"run_id": run, "model_id": "m", "path": "x"})
    assert both.json()["message"] == "Exactly one of run_id and model_id must be provided."
    late = client.post(
        "/api/2.0/mlflow/artifacts/presigned-download-url", json={"run_id": run, "path": "x", "expiration": 604_801}
    )
    assert late.json()["message"] == "expiration must be between 1 and 604800 seconds (got 604801)."
    info = client.get("/api/3.0/mlflow/server-info").json()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (True, False)


def test_the_page_of_mlflow_uploads_small_files(client: httpx.Client, root: str, run: str) -> None:
    path = "/ajax-api/2.0/mlflow/upload-artifact"
    assert client.post(path, params={"run_uuid": run, "path": "a/x"}, content=b"data").content == b""
    assert client.get(f"{root}/a/x").content == b"data"
    for params, content, message in [
        ({"path": "x"}, b"x", "Request must specify run_uuid."),
        ({"run_uuid": run}, b"x", "Request must specify path."),
        ({"run_uuid": run, "path": "x"}, b"", "Request must specify data."),
        ({"run_uuid": run, "path": "x"}, b"x" * (10 * 1024 * 1024 + 1), "Artifact size is too large. Max size is 10MB."),
    ]:
        answer = client.post(path, params=params, content=content)
        assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_uploads_of_the_same_path_at_once_leave_one_of_them_whole(
    url: str, client: httpx.Client, root: str, workspace: Workspace
) -> None:
    bodies = [bytes([number]) * (CHUNK + 7 * number) for number in range(8)]
    barrier = threading.Barrier(len(bodies))

    def send(body: bytes) -> int:
        barrier.wait()
        return httpx.put(f"{url}{root}/x", content=stream(body, 50_000), timeout=60).status_code

    with ThreadPoolExecutor(len(bodies)) as pool:
        assert set(pool.map(send, bodies)) == {200}
    assert client.get(f"{root}/x").content in bodies


def test_a_request_that_follows_a_large_body_on_the_same_connection_is_answered(url: str, root: str) -> None:
    import socket

    host, _, port = url.removeprefix("http://").partition(":")
    data = os.urandom(6_000_000)
    put = f"PUT {root}/x HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
    get = f"GET {root}/x HTTP/1.1\r\nHost: {host}:{port}\r\nRange: bytes=5999990-\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(put + put + get)
        answers = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answers.count(b"HTTP/1.1 200") == 2
    assert answers.count(b"HTTP/1.1 206") == 1
    assert answers.endswith(data[-10:])


def test_a_client_that_goes_away_leaves_nothing(url: str, client: httpx.Client, root: str, workspace: Workspace) -> None:
    import socket

    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"PUT {root}/x HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9000000\r\n\r\n".encode() + b"x" * 3_000_000
        )
    assert client.get(f"{root}/x").status_code == 404
    assert list(workspace.blobs.ids()) == []


def test_pictures_are_shown_and_all_else_is_saved_in_a_sandbox(client: httpx.Client, root: str, run: str) -> None:
    client.put(f"{root}/plot.png", content=b"\x89PNG")
    client.put(f"{root}/page.html", content=b"<script>alert(1)</script>")
    raw = f"/api/runs/{run}/artifacts/raw"
    picture, page = client.get(raw, params={"path": "plot.png"}), client.get(raw, params={"path": "page.html"})
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["content-disposition"].startswith("inline")
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"].startswith("attachment")
    for answer in (picture, page):
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    shown = client.get(f"/api/runs/{run}/artifacts/preview", params={"path": "page.html"}).json()
    assert (shown["kind"], shown["text"]) == ("html", "<script>alert(1)</script>")
    folder = client.get(f"/api/runs/{run}/artifacts").json()
    assert [entry["path"] for entry in folder["entries"]] == ["page.html", "plot.png"]


def test_a_file_of_a_version_is_found_by_its_name_and_number(client: httpx.Client, root: str, run: str, post: Post) -> None:
    client.put(f"{root}/model/MLmodel", content=b"flavors: {}")
    post("registered-models/create", name="churn")
    source = f"mlflow-artifacts:/{root.removeprefix(f'{PROXY}/artifacts/')}/model"
    version = post("model-versions/create", name="churn", source=source, run_id=run)["model_version"]["version"]
    asked = {"name": "churn", "version": version, "path": "MLmodel"}
    got = client.get("/model-versions/get-artifact", params=asked)
    assert (got.status_code, got.content) == (200, b"flavors: {}")
    for change in ({"version": "9"}, {"name": "x"}, {"path": "nope"}, {"path": "../../x"}, {"path": ""}):
        assert client.get("/model-versions/get-artifact", params={**asked, **change}).status_code in (400, 404)


class TestInABucket:
    """The same routes when the bytes are in a bucket."""

    @pytest.fixture
    def workspace(self, s3: str, tmp_path: Path) -> Iterator[Workspace]:
        with Workspace(load_settings(tmp_path, {"PERENNE_OBJECTS": s3})) as workspace:
            yield workspace

    def test_files_come_back_whole_by_range_and_past_the_server(self, client: httpx.Client, root: str, run: str) -> None:
        data = os.urandom(3_000_000)
        assert client.put(f"{root}/a/x.bin", content=data).status_code == 200
        assert client.get(f"{root}/a/x.bin").content == data
        assert client.get(f"{root}/a/x.bin", headers={"range": "bytes=1000-1999"}).content == data[1_000:2_000]
        assert client.get("/api/3.0/mlflow/server-info").json()["multipart_downloads_enabled"] is True
        signed = client.get(f"{PROXY}/presigned/{root.removeprefix(f'{PROXY}/artifacts/')}/a/x.bin").json()
        assert signed["file_size"] == len(data)
        assert httpx.get(signed["url"], headers={**signed["headers"], "range": "bytes=0-9"}).content == data[:10]
        asked = {"run_id": run, "path": "a/x.bin", "expiration": 60}
        given = client.post("/api/2.0/mlflow/artifacts/presigned-download-url", json=asked).json()
        assert httpx.get(given["presigned_url"]).content == data

    def test_parts_are_joined(self, client: httpx.Client, root: str) -> None:
        where = root.removeprefix(f"{PROXY}/artifacts/")
        parts = [os.urandom(400_000), b"end"]
        begun = client.post(f"{PROXY}/mpu/create/{where}", json={"path": "x", "num_parts": 2}).json()
        for credential, part in zip(begun["credentials"], parts, strict=True):
            assert httpx.put(credential["url"], content=part).status_code == 200
        ending = {"path": "x", "upload_id": begun["upload_id"], "parts": []}
        assert client.post(f"{PROXY}/mpu/complete/{where}", json=ending).json() == {}
        assert client.get(f"{root}/x").content == b"".join(parts)
