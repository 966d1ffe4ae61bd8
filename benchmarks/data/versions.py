"""Versions of files, beside DVC: work A, 20,000 files of 4 kB in 200 folders, and work B, one file of 2 GiB.

    python benchmarks/data/versions.py --peer PEER/bin/dvc [--work AB] [--repeats 5] [--small] [--folder FOLDER]

The peer is an environment of its own: `python -m venv PEER && PEER/bin/pip install dvc==3.67.1 && PEER/bin/python -m compileall
-q PEER/lib`. Both tools have compiled bytecode, the same link type (copy), a remote that is a folder, Git around them, and take
turns. CPU is that of the whole tree of processes, as the kernel counts it; memory the peak of its largest process. Figures are
medians, with the ratio of CPU. `--small` is a quick try, a fortieth of the work. `--folder` says on which disk; B
needs 20 GB there.
"""

import argparse
import compileall
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SRC = Path(__file__).resolve().parents[2] / "src"
PIECE = 1 << 20


class Cost(NamedTuple):
    """What a command took: CPU and wall seconds, and MB."""

    cpu: float
    wall: float
    memory: float


class Tool:
    """DVC or perenne, with a repository of its own."""

    def __init__(self, name: str, command: list[str], room: Path) -> None:
        self.name = name
        self.room = room / name
        self.work = self.room / "work"
        self._command = command
        settings = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self.room / "site"), "PYTHONPATH": str(SRC)}
        self._environment = os.environ | settings

    def run(self, *words: str) -> Cost:
        """Run a command and return what it took, with all processes that it started."""
        quiet = "--quiet"
        began = time.perf_counter()
        process = subprocess.Popen(
            [*self._command, *words, quiet],
            cwd=self.work,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and words[0] != "status":
            sys.exit(f"{self.name} {' '.join(words)} failed: {said.decode()[-1000:]}")
        return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)

    def begin(self) -> None:
        """Make an empty repository with a remote."""
        shutil.rmtree(self.room, ignore_errors=True)
        self.work.mkdir(parents=True)
        subprocess.run(["git", "init", "-q"], cwd=self.work, check=True)
        self.run("init")
        self.run("remote", "add", "-d", "store", str(self.room / "store"))
        self.run("config", "cache.type", "copy")

    def commit(self) -> Cost:
        """Record what has changed, without questions."""
        return self.run("commit", *(["--force"] if self.name == "dvc" else []), "data.dvc")


def make_small_files(target: Path, folders: int) -> None:
    """Make work A."""
    chance = random.Random(7)
    for folder in range(folders):
        (target / f"d{folder:03d}").mkdir(parents=True)
        for file in range(100):
            (target / f"d{folder:03d}" / f"f{file:03d}.bin").write_bytes(chance.randbytes(4096))


def make_large_file(target: Path, size: int) -> None:
    """Make work B."""
    chance = random.Random(7)
    with target.open("wb") as stream:
        for _ in range(size // PIECE):
            stream.write(chance.randbytes(PIECE))


def change_files(tool: Tool, share: int, mark: int) -> None:
    """Change one file of each `share` of work A."""
    files = sorted((tool.work / "data").rglob("*.bin"))
    for file in files[mark % share :: share]:
        file.write_bytes(f"{mark}".encode() * 512)
    time.sleep(0.05)  # no tick of the clock falls between


def edit_large_file(tool: Tool, mark: int) -> None:
    """Change a piece of work B in place."""
    with (tool.work / "data").open("r+b") as stream:
        stream.seek(PIECE)
        stream.write(f"{mark:016d}".encode())
    time.sleep(0.05)


def forget_data(tool: Tool) -> None:
    """Remove the data from the workspace."""
    data = tool.work / "data"
    shutil.rmtree(data) if data.is_dir() else data.unlink(missing_ok=True)


def forget_everything(tool: Tool) -> None:
    """Remove the data, and the cache, as in a fresh clone."""
    forget_data(tool)
    shutil.rmtree(tool.work / ".dvc/cache", ignore_errors=True)
    for file in (tool.work / ".dvc/tmp").glob("*.db*"):
        file.unlink()
    shutil.rmtree(tool.room / "site", ignore_errors=True)


class Bench:
    """Lets the tools take turns, and prints what each took."""

    def __init__(self, tools: list[Tool], repeats: int) -> None:
        self._tools = tools
        self._repeats = repeats

    def measure(
        self, what: str, prepare: Callable[[Tool, int], None], command: Callable[[Tool], Cost], repeats: int | None = None
    ) -> None:
        """Print the medians of a command, with what must be done before each time."""
        costs: dict[str, list[Cost]] = {tool.name: [] for tool in self._tools}
        for number in range(repeats or self._repeats):
            for tool in self._tools:
                prepare(tool, number)
                costs[tool.name].append(command(tool))
        medians = {name: Cost(*(statistics.median(part) for part in zip(*found, strict=True))) for name, found in costs.items()}
        ours, theirs = medians["perenne"], medians.get("dvc")
        line = f"| {what} | {ours.cpu:.3f} ({ours.wall:.2f}) {ours.memory:.0f} MB |"
        if theirs is not None:
            line += f" {theirs.cpu:.3f} ({theirs.wall:.2f}) {theirs.memory:.0f} MB | {theirs.cpu / ours.cpu:.1f} |"
        print(line, flush=True)


def nothing(tool: Tool, number: int) -> None:
    """Prepare nothing."""


def begin_with(source: Path) -> Callable[[Tool, int], None]:
    """Return what makes an empty repository and puts the data in."""

    def prepare(tool: Tool, number: int) -> None:
        tool.begin()
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, tool.work / "data")

    return prepare


def work_a(bench: Bench, source: Path) -> None:
    """Measure many small files."""
    bench.measure("add", begin_with(source), lambda tool: tool.run("add", "data"))
    bench.measure("status, the first after it", nothing, lambda tool: tool.run("status"), 1)
    bench.measure("status, nothing changed", nothing, lambda tool: tool.run("status"))
    bench.measure("status, one file changed", lambda tool, n: change_files(tool, 1 << 30, n), lambda tool: tool.run("status"))
    bench.measure("commit, that one", nothing, Tool.commit, 1)
    bench.measure("commit, 1 % changed", lambda tool, n: change_files(tool, 100, n), Tool.commit)
    both(bench)


def both(bench: Bench) -> None:
    """Measure what goes to a remote and comes back."""

    def no_store(tool: Tool, number: int) -> None:
        shutil.rmtree(tool.room / "store", ignore_errors=True)

    bench.measure("push to a folder", no_store, lambda tool: tool.run("push"))
    bench.measure("push, nothing new", nothing, lambda tool: tool.run("push"))
    bench.measure("checkout into an empty tree", lambda tool, n: forget_data(tool), lambda tool: tool.run("checkout"))
    bench.measure("checkout, nothing to do", nothing, lambda tool: tool.run("checkout"))
    bench.measure("pull from a folder", lambda tool, n: forget_everything(tool), lambda tool: tool.run("pull"))


def work_b(bench: Bench, source: Path) -> None:
    """Measure one large file."""
    bench.measure("add", begin_with(source), lambda tool: tool.run("add", "data"))
    bench.measure("status, nothing changed", nothing, lambda tool: tool.run("status"))
    bench.measure("status, edited in place", edit_large_file, lambda tool: tool.run("status"))
    bench.measure("commit after that status", lambda tool, n: looked_at(tool, n + 100), Tool.commit)
    both(bench)


def looked_at(tool: Tool, number: int) -> None:
    """Edit the file and ask for its status."""
    edit_large_file(tool, number)
    tool.run("status")


def empty(bench: Bench) -> None:
    """Measure a repository that tracks nothing."""
    bench.measure("status, empty repository", lambda tool, n: tool.begin(), lambda tool: tool.run("status"))


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the executable of DVC; ours alone without it")
    parser.add_argument("--work", default="AB", help="A, B, or both")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--folder", type=Path)
    wanted = parser.parse_args()
    compileall.compile_dir(SRC, quiet=1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    scale = 40 if wanted.small else 1
    with tempfile.TemporaryDirectory(dir=wanted.folder) as place:
        room = Path(place)
        tools = [Tool("perenne", [sys.executable, "-m", "perenne", "data"], room)]
        tools += [Tool("dvc", [wanted.peer], room)] if wanted.peer else []
        bench = Bench(tools, wanted.repeats)
        print("| what | perenne: CPU s (wall s) memory | DVC | ratio of CPU |\n|---|---|---|---|")
        empty(bench)
        if "A" in wanted.work:
            make_small_files(room / "a", 200 // scale)
            print(f"| **A: {200 // scale * 100:,} files of 4 kB** | | | |")
            work_a(bench, room / "a")
        if "B" in wanted.work:
            make_large_file(room / "b", (2 << 30) // scale)
            print(f"| **B: one file of {(2 << 10) // scale:,} MiB** | | | |")
            work_b(bench, room / "b")


if __name__ == "__main__":
    main()
