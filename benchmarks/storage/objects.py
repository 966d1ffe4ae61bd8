"""What an object store by content costs: in a folder beside plain copies, in a bucket beside the bare clients.

    python benchmarks/storage/objects.py [--small 500] [--big 4] [--mib 32] [--repeats 5]

Small objects have 4 KiB, big ones MIB. The bucket is served by moto in a process of its own on this machine, so the figures are
those of the client: of a real store they would be those of the network. Each figure is the median of REPEATS, each into an empty
place; files are read again right after they were written, from the memory of the system.
"""

import argparse
import hashlib
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from perenne.storage.cached_objects import Cache, CachedObjects
from perenne.storage.objects import CloudObjects, FileObjects

KIB, MIB = 1 << 10, 1 << 20
OURS = "perenne"
SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Work:
    """Files to keep and read again; names and bytes are the same in every repeat."""

    name: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The files, in a fixed order."""
        return sorted(self.folder.iterdir())


@dataclass(frozen=True)
class Way:
    """A way to do it: what keeps a file in a place and gives its name there, and what reads it into another file."""

    name: str
    put: Callable[[Path, Path], str]
    get: Callable[[Path, str, Path], None]


def make_work(folder: Path, name: str, count: int, size: int) -> Work:
    """Write random files."""
    work = Work(name, folder / name)
    work.folder.mkdir()
    for number in range(count):
        (work.folder / f"{number:05}").write_bytes(random.Random(number).randbytes(size))
    return work


def copy_file(place: Path, source: Path, *, sync: bool) -> str:
    """Copy a file, and wait until it is on the disk if asked to."""
    place.mkdir(exist_ok=True)
    shutil.copyfile(source, place / source.name)
    if sync:
        for path in (place / source.name, place):
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
    return source.name


def copy_back(place: Path, name: str, target: Path) -> None:
    """Copy a file back."""
    shutil.copyfile(place / name, target)


def hash_file(place: Path, source: Path) -> str:
    """Read a file and compute its digest: what checking must cost at the least."""
    with source.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
    return str(source)


def hash_back(place: Path, name: str, target: Path) -> None:
    """Do the same on the way back."""
    hash_file(place, Path(name))


def local_ways() -> list[Way]:
    """Return ours, and copies with and without waiting for the disk."""
    return [
        Way(OURS, lambda place, source: FileObjects(place).put_file(source), lambda p, name, to: FileObjects(p).fetch(name, to)),
        Way("copy and fsync", partial(copy_file, sync=True), copy_back),
        Way("copy, no fsync", partial(copy_file, sync=False), copy_back),
        Way("SHA-256 alone", hash_file, hash_back),
    ]


def cloud_ways(bucket: str, endpoint: str, cache: Path) -> list[Way]:
    """Return ours, ours read again through the cache, and the bare clients."""
    import boto3  # type: ignore[import-untyped]
    import obstore
    from obstore.store import S3Store

    def ours(place: Path) -> CloudObjects:
        return opened.setdefault(place.name, CloudObjects(f"s3://{bucket}/{place.name}"))

    def ours_cached(place: Path) -> CachedObjects:
        return CachedObjects(ours(place), Cache(cache, 1 << 40))

    def bare_put(place: Path, source: Path) -> str:
        obstore.put(store, f"{place.name}/{source.name}", source)
        return f"{place.name}/{source.name}"

    def bare_get(place: Path, name: str, target: Path) -> None:
        with target.open("wb") as stream:
            for chunk in obstore.get(store, name).stream(min_chunk_size=MIB):
                stream.write(chunk)

    def boto_put(place: Path, source: Path) -> str:
        client.upload_file(str(source), bucket, f"{place.name}/{source.name}")
        return f"{place.name}/{source.name}"

    opened: dict[str, CloudObjects] = {}
    store = S3Store(bucket, client_options={"allow_http": True})
    client: Any = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    return [
        Way(OURS, lambda place, source: ours(place).put_file(source), lambda p, name, to: ours(p).fetch(name, to)),
        Way(
            "perenne, cached",
            lambda place, source: warm(ours_cached(place), source),
            lambda p, n, to: ours_cached(p).fetch(n, to),
        ),
        Way("obstore", bare_put, bare_get),
        Way("boto3", boto_put, lambda place, name, target: client.download_file(bucket, name, str(target))),
    ]


def warm(objects: CachedObjects, source: Path) -> str:
    """Keep a file and read it once, so that the next reading finds it in the cache."""
    digest = objects.put_file(source)
    with tempfile.TemporaryDirectory() as folder:
        objects.fetch(digest, Path(folder) / "first")
    return digest


def measure(way: Way, work: Work, place: Path, target: Path) -> list[float]:
    """Keep every file, then read every one: wall and processor seconds of both."""
    target.mkdir()
    names, wall, cpu = timed(lambda: [way.put(place, source) for source in work.files])
    figures = [wall, cpu]
    _, wall, cpu = timed(lambda: get_all(way, names, place, target))
    return [*figures, wall, cpu]


def get_all(way: Way, names: list[str], place: Path, target: Path) -> list[str]:
    """Read every object into a file of its own."""
    for number, name in enumerate(names):
        way.get(place, name, target / str(number))
    return names


def timed(action: Callable[[], list[Any]]) -> tuple[list[Any], float, float]:
    """Return what an action returns, its wall and its processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = action()
    return value, time.perf_counter() - wall, time.process_time() - cpu


def compare(ways: list[Way], work: Work, folder: Path, repeats: int) -> list[list[str]]:
    """Time every way, each repeat beginning with another one; return rows of the table."""
    found: dict[str, list[list[float]]] = {way.name: [] for way in ways}
    for repeat in range(repeats):
        for way in [*ways[repeat % len(ways) :], *ways[: repeat % len(ways)]]:
            print(f"{work.name}: {way.name}, {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
            place, target = (
                folder / f"{work.name}-{repeat}-{len(found)}-{way.name}".replace(" ", "-").replace(",", ""),
                folder / "target",
            )
            found[way.name].append(measure(way, work, place, target))
            shutil.rmtree(target)
            shutil.rmtree(place, ignore_errors=True)
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    count = len(work.files)
    return [[work.name, name, *cells(name, figures, medians[OURS], count)] for name, figures in medians.items()]


def cells(name: str, figures: list[float], ours: list[float], count: int) -> list[str]:
    """Write milliseconds an object, and the ratio of processor time to ours; the cache has no way of its own to keep."""
    row = []
    for wall, cpu, mine in ((figures[0], figures[1], ours[1]), (figures[2], figures[3], ours[3])):
        row += [f"{1e3 * wall / count:.3g}", f"{1e3 * cpu / count:.3g}", f"{cpu / mine:.2g}"]
    return ["—"] * 3 + row[3:] if "cache" in name else row


@contextmanager
def served() -> Iterator[str]:
    """Run moto's server in a process of its own, and set this process's environment to reach it."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        endpoint = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": endpoint}
        yield endpoint
        server.stdin.close()


HEAD = ["objects", "way", "put, wall", "CPU", "× ours", "get, wall", "CPU", "× ours"]


def table(rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [HEAD, ["---"] * len(HEAD), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=500, help="how many small objects")
    parser.add_argument("--big", type=int, default=4, help="how many big ones")
    parser.add_argument("--mib", type=int, default=32, help="the size of a big one")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name:
        folder = Path(name)
        works = [
            make_work(folder, f"{options.small:,} of 4 KiB", options.small, 4 * KIB),
            make_work(folder, f"{options.big} of {options.mib} MiB", options.big, options.mib * MIB),
        ]
        print(table([row for work in works for row in compare(local_ways(), work, folder, options.repeats)]), flush=True)
        with served() as endpoint:
            ways = cloud_ways("bench", endpoint, folder / "cache")
            print("\n" + table([row for work in works for row in compare(ways, work, folder, options.repeats)]))
    print(f"\nMilliseconds an object. Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
