"""Kills a server under uploads, again and again. Run as a program: `upload_kills.py FOLDER FIRST_SEED KILLS`.

Threads upload files of many sizes, some to paths of their own, some all to the same one, and note what was acknowledged. The
server is killed after a number of uploads that is drawn from the seed, in the middle of others, and started again. Whatever was
acknowledged must be there then, whole; whatever is there must be whole, acknowledged or not; and after a day nothing is left of
what was half done.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import httpx

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, SystemClock
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace
from perenne.tracking import artifacts

THREADS = 4
MOST = 15


def body(seed: int, number: int) -> bytes:
    """Make a body that tells by itself whether it is whole: its digest, then bytes."""
    drawn = random.Random(f"{seed}/{number}")
    rest = drawn.randbytes(drawn.choice([0, 100, 300_000, 3_000_000]))
    return sha256(rest).hexdigest().encode() + rest


def is_whole(data: bytes) -> bool:
    return sha256(data[64:]).hexdigest().encode() == data[:64]


class Server:
    """A control plane as a process of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        environment = {**os.environ, "PERENNE_HOME": str(folder / ".perenne"), "PERENNE_PORT": str(port)}
        program = [sys.executable, "-m", "tests.tracking.serving", str(port)]
        self.process = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Uploads:
    """Threads that upload for as long as they may."""

    def __init__(self, url: str, root: str, seed: int) -> None:
        self._url, self._root, self._seed = url, root, seed
        self._lock = threading.Condition()
        self._next = 0
        self._stop = threading.Event()
        self.acknowledged: dict[str, bytes] = {}
        self.shared: list[bytes] = []
        self._threads = [threading.Thread(target=self._upload) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until so many uploads were acknowledged."""
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.acknowledged) + len(self.shared) >= count, timeout=300)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _upload(self) -> None:
        with contextlib.suppress(httpx.HTTPError), httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.is_set():
                with self._lock:
                    self._next += 1
                    number = self._next
                data, path = body(self._seed, number), "shared" if number % 5 == 0 else f"{self._seed}/{number}"
                if client.put(f"/api/2.0/mlflow-artifacts/artifacts/{self._root}/{path}", content=data).status_code != 200:
                    continue
                with self._lock:
                    if path == "shared":
                        self.shared.append(data)
                    else:
                        self.acknowledged[path] = data
                    self._lock.notify_all()


def check(client: httpx.Client, workspace: Workspace, root: str, kept: dict[str, bytes], shared: bool, seed: int) -> None:
    for path, data in kept.items():
        got = client.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}")
        assert (got.status_code, got.content == data) == (200, True), f"seed {seed}: {path} is lost or cut"
    with workspace.database.read() as tx:
        actor = Principal("killer", roles=frozenset(Role))
        place = artifacts.place_of(tx, actor, root)
        assert place is not None
        everything = artifacts.below(tx, actor, place)
    for artifact in everything:
        assert is_whole(artifacts.load(workspace.blobs, artifact)), f"seed {seed}: {artifact.path} is there, and not whole"
    assert not shared or any(artifact.path == "shared" for artifact in everything), f"seed {seed}: the shared file is gone"


def tidy(workspace: Workspace, root: str, seed: int) -> None:
    """Delete what nobody has; what is left is what the rows name."""
    later = SystemClock().now() + 2 * DAY
    artifacts.sweep(workspace, now=later)
    for blob in list(artifacts.orphans(workspace, now=later)):
        workspace.blobs.delete(blob)
    with workspace.database.read() as tx:
        rows = {artifact.blob for artifact in artifacts.below(tx, Principal("killer", roles=frozenset(Role)), _place(root))}
    assert set(workspace.blobs.ids()) == rows, f"seed {seed}: blobs and rows differ"


def _place(root: str) -> artifacts.Place:
    return artifacts.Place(root, "", "")


def main(folder: Path, port: int, first: int, kills: int) -> None:
    """Play the kills on one installation and print how many uploads were acknowledged."""
    url = f"http://127.0.0.1:{port}"
    settings = load_settings(
        folder, {"PERENNE_DATABASE": os.environ["PERENNE_DATABASE"]} if "PERENNE_DATABASE" in os.environ else {}
    )
    server = Server(folder, port)
    run = httpx.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()["run"]["info"]
    root, shared = run["artifact_uri"].removeprefix("mlflow-artifacts:/"), False
    kept: dict[str, bytes] = {}
    for seed in range(first, first + kills):
        uploads = Uploads(url, root, seed)
        uploads.wait_for(random.Random(seed).randint(1, MOST))
        server.kill()
        uploads.stop()
        kept |= uploads.acknowledged
        shared = shared or bool(uploads.shared)
        server = Server(folder, port)
        with httpx.Client(base_url=url, timeout=60) as client, Workspace(settings) as workspace:
            check(client, workspace, root, kept, shared, seed)
    server.kill()
    with Workspace(settings) as workspace:
        tidy(workspace, root, first)
    print(len(kept))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
