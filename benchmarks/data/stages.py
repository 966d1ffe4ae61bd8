"""Two hundred stages that do nothing much, brought up to date for the first time and once more; ours beside DVC's.

    python benchmarks/data/stages.py --dvc /path/to/dvc [--stages 200] [--repeats 3]

Each figure is the median of fresh repositories and processes: wall seconds, and processor seconds with those of children.
`true` itself, 200 times from a shell, stands below as the floor of the first run.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Cost = tuple[float, float]


def pipeline(count: int, chain: bool) -> str:
    """Return a dvc.yaml: stages that each write a file, alone or each from the one before."""
    lines = ["stages:"]
    for number in range(count):
        lines += [f"  s{number:03}:", f"    cmd: echo {number} > out/{number:03}", "    outs:", f"    - out/{number:03}"]
        lines += ["    deps:", f"    - out/{number - 1:03}" if chain and number else "    - in.txt"]
    return "\n".join(lines) + "\n"


def prepared(dvc: str, text: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stages-"))
    for command in (["git", "init", "-q"], [dvc, "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True)
    (folder / "out").mkdir()
    (folder / "in.txt").write_text("in\n")
    (folder / "dvc.yaml").write_text(text)
    return folder


def cost(command: list[str], folder: Path, environment: dict[str, str]) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(dvc: str, command: list[str], text: str, repeats: int, environment: dict[str, str]) -> dict[str, Cost]:
    found: dict[str, list[Cost]] = {"first": [], "no change": [], "one changed": [], "status": []}
    status = [*command[: command.index("repro")], "status"]
    for _ in range(repeats):
        folder = prepared(dvc, text)
        found["first"].append(cost(command, folder, environment))
        found["no change"].append(cost(command, folder, environment))
        found["status"].append(cost(status, folder, environment))
        (folder / "dvc.yaml").write_text(text.replace("echo 10 >", "echo 10  >"))
        found["one changed"].append(cost(command, folder, environment))
        shutil.rmtree(folder)
    return {name: (median(costs, 0), median(costs, 1)) for name, costs in found.items()}


def median(costs: list[Cost], place: int) -> float:
    return statistics.median(one[place] for one in costs)


def floor(count: int) -> Cost:
    return cost(["/bin/sh", "-c", f"for i in $(seq {count}); do /bin/sh -c true; done"], Path("/"), dict(os.environ))


def main(arguments: argparse.Namespace, say: Callable[[str], None] = print) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/sh"}
    ours = [sys.executable, "-m", "perenne", "dvc", "repro"]
    programs = {
        "perenne": (ours, {**environment, "PYTHONPATH": str(ROOT / "src")}),
        "perenne, 2 jobs": ([*ours, "--jobs", "2"], {**environment, "PYTHONPATH": str(ROOT / "src")}),
        "dvc": ([arguments.dvc, "repro"], {**environment, "DVC_SITE_CACHE_DIR": tempfile.mkdtemp()}),
    }
    for kind in ("independent", "chain"):
        text = pipeline(arguments.stages, kind == "chain")
        say(f"{arguments.stages} stages, {kind}: wall s (processor s)")
        for name, (command, around) in programs.items():
            row = measured(arguments.dvc, command, text, arguments.repeats, around)
            say(f"  {name:16}" + "".join(f"{what} {wall:7.2f} ({cpu:6.2f})   " for what, (wall, cpu) in row.items()))
    wall, cpu = floor(arguments.stages)
    say(f"  {'shells alone':16}first {wall:7.2f} ({cpu:6.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dvc", default=os.environ.get("PERENNE_DVC") or shutil.which("dvc"), help="the executable of DVC")
    parser.add_argument("--stages", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args())
