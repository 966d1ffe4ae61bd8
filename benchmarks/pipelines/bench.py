"""Overhead of pipeline engines: a chain of steps that do nothing, run for the first time and once more; ours beside the peers'.

    python benchmarks/pipelines/bench.py [--peers prefect,dagster,dvc,metaflow] [--environments FOLDER] [--repeats 3]

Each peer gets a virtual environment of its own below FOLDER, made on the first call and kept for the next. Every figure is the
median of fresh processes. A peer that cannot be installed or run is left out with a word about it. Peers that start a process a
step run shorter chains; their figures are the difference between a long chain and the shortest one, so start-up is left out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipelines import programs

ROOT = Path(__file__).resolve().parents[2]
STEPS = 200


@dataclass(frozen=True)
class Engine:
    """An engine to be timed: what to install, its program, and how long a chain it can be asked for.

    `overrides` are installed afterwards, against its own demands: Prefect 3.8 does not start with the fastapi it asks for.
    """

    name: str
    program: str
    steps: int
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


OURS = Engine("perenne", programs.PERENNE, STEPS)
ON_RAY = Engine("perenne on Ray", programs.ON_RAY, STEPS)
RAY = Engine("plain Ray tasks", programs.RAY, STEPS)
FLOOR = Engine("one SQLite transaction a step", programs.SQLITE, STEPS)
PEERS = (
    Engine("dagster", programs.DAGSTER, STEPS, ("dagster",)),
    Engine("prefect", programs.PREFECT, STEPS, ("prefect",), overrides=("fastapi<0.120",)),
    Engine("dvc", programs.DVC, 20, ("dvc",)),
    Engine("metaflow", programs.METAFLOW, 10, ("metaflow",)),
)


def environment(engine: Engine, folder: Path) -> Path:
    """Return the interpreter of an engine's environment, made if need be; compiled, so that no run pays for that."""
    if not engine.requirements:
        return Path(sys.executable)
    place = folder / engine.name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        say(f"installing {engine.name} …")
        venv.create(place, with_pip=True, clear=True)
        for wanted in filter(None, (engine.requirements, engine.overrides)):
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
            subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=subprocess.DEVNULL)
        (place / "ready").touch()
    return python


def measure(engine: Engine, python: Path) -> dict[str, Any]:
    """Run an engine's program once in a fresh process and an empty folder, and return what it printed."""
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as folder:
        path = Path(folder) / "program.py"
        path.write_text(engine.program)
        (Path(folder) / "state").mkdir()
        paths = {"PYTHONPATH": str(ROOT / "src")} if engine in (OURS, ON_RAY) else {}
        done = subprocess.run(
            [str(python), str(path), str(engine.steps), str(Path(folder) / "state")],
            env={**os.environ, **paths},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=1_800,
        )
    if done.returncode:
        raise RuntimeError("\n".join((done.stderr or done.stdout).strip().splitlines()[-3:]))
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def medians(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of every figure; a figure is a number, or a pair of wall and processor seconds."""
    first = dict(found[0])
    for name, value in first.items():
        values = [one[name] for one in found]
        if isinstance(value, list):
            first[name] = [statistics.median(column) for column in zip(*values, strict=True)]
        elif isinstance(value, float):
            first[name] = statistics.median(values)
    return first


def per_step(found: dict[str, Any], name: str) -> tuple[float, float] | None:
    """Return wall and processor milliseconds a step."""
    return None if name not in found else (1e3 * found[name][0] / found["steps"], 1e3 * found[name][1] / found["steps"])


def row(name: str, found: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Write an engine's figures as a row of the table."""
    cells = [name, str(found["version"]), str(found["steps"])]
    for kind in ("chain", "cached"):
        mine, theirs = per_step(ours, kind), per_step(found, kind)
        if theirs is None or mine is None:
            cells += ["—", "—", "—"]
        else:
            cells += [f"{theirs[0]:.3g}", f"{theirs[1]:.3g}", f"{theirs[1] / mine[1]:,.3g}" if found is not ours else "1"]
    return [*cells, f"{found['imported']:.2f}", f"{found['rss_mb']:.0f}"]


HEAD = [
    "engine",
    "version",
    "steps",
    "first run, wall",
    "CPU",
    "× ours",
    "re-run, wall",
    "CPU",
    "× ours",
    "import, CPU s",
    "RSS MB",
]


def table(rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def time_engine(engine: Engine, folder: Path, repeats: int) -> dict[str, Any] | None:
    """Install and time an engine; None if that fails."""
    try:
        python = environment(engine, folder)
        found = []
        for number in range(repeats):
            say(f"{engine.name}: run {number + 1} of {repeats}")
            found.append(measure(engine, python))
        return medians(found)
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        say(f"{engine.name} is left out: {error}")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS), help="which, by name and comma")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "perenne-benchmarks")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    wanted = [peer for peer in PEERS if peer.name in options.peers.split(",")]
    ours = time_engine(OURS, options.environments, options.repeats)
    if ours is None:
        sys.exit(1)
    rows = [row(OURS.name, ours, ours)]
    fans = [(OURS.name, fan)] if (fan := per_step(ours, "fan")) else []
    for engine in (FLOOR, ON_RAY, RAY, *wanted):
        found = time_engine(engine, options.environments, options.repeats)
        if found is not None:
            rows.append(row(engine.name, found, ours))
            fans += [(engine.name, fan)] if (fan := per_step(found, "fan")) else []
    print(table(rows))
    print("\nMilliseconds a step; ratios of CPU time.")
    for name, (wall, cpu) in fans:
        print(f"Fan-out of {STEPS}, {name}: {wall:.3g} wall, {cpu:.3g} CPU.")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; WAL with synchronous=NORMAL."
    )


if __name__ == "__main__":
    main()
