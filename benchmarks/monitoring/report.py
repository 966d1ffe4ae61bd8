"""Drift of fifty columns between two tables in memory, beside Evidently, NannyML and whylogs, each with its defaults.

    python benchmarks/monitoring/report.py [--rows 10000 100000 1000000] [--limit 1200] [--peers FOLDER] [--python NAME=…]

Forty numbers and ten columns of text; the reference and the window have as many rows each, and five columns are shifted by 0.3
standard deviations. Peers get pandas, as they want it, ours Arrow with dictionaries; reading is left out. Their environments are
made from `requirements/monitoring-<name>.lock` on the first call, bytecode compiled, or given with `--python`. A peer that passes
the limit of seconds at a size is not asked larger ones: the largest it finished is what stands. Telemetry of peers is off.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.monitoring.programs import EVIDENTLY, MAKE, METER, NANNYML, OURS, WHYLOGS  # noqa: E402

PEERS = {"evidently": EVIDENTLY, "nannyml": NANNYML, "whylogs": WHYLOGS}


def interpreter(name: str, given: dict[str, str], folder: Path) -> str:
    """Return the Python of a peer's environment: the given one, or one that is made from its lock on the first call."""
    if name in given:
        return given[name]
    place = folder / f"monitoring-{name}"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements" / f"monitoring-{name}.lock")], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=subprocess.DEVNULL)
        (place / "ready").touch()
    return str(python)


def measure(python: str, program: str, folder: Path, limit: float) -> dict[str, float] | None:
    """Run a program on both files; None if it took too long or failed."""
    quiet = {"DO_NOT_TRACK": "1", "NML_DISABLE_USER_ANALYTICS": "1", "WHYLOGS_NO_ANALYTICS": "True"}
    environment = {**os.environ, **quiet, "PYTHONPATH": str(ROOT / "src") if python == sys.executable else ""}
    command = [python, "-c", METER + program, str(folder / "reference.parquet"), str(folder / "window.parquet")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment, cwd=folder, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run and print a table."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    given.add_argument("--limit", type=float, default=1200.0)
    given.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "perenne-benchmarks")
    given.add_argument("--python", nargs="*", default=[], metavar="NAME=PYTHON")
    options = given.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    engines = {"ours": (sys.executable, OURS)}
    engines |= {name: (interpreter(name, pythons, options.peers), program) for name, program in PEERS.items()}
    print("| rows | engine | wall s | CPU s | of ours | peak MB | drifted |\n|---|---|---|---|---|---|---|")
    out: set[str] = set()
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-c", MAKE, str(rows), folder], check=True)
            ours = 0.0
            for name, (python, program) in engines.items():
                if name in out:
                    continue
                found = measure(python, program, Path(folder), options.limit)
                if found is None:
                    out.add(name)
                    print(f"| {rows:,} | {name} | not finished in {options.limit:.0f} s | | | | |", flush=True)
                    continue
                ours = ours or found["cpu"]
                times = f"{found['cpu'] / ours:,.0f}x"
                print(
                    f"| {rows:,} | {name} | {found['wall']:.2f} | {found['cpu']:.2f} | {times} | {found['memory']:,.0f} |"
                    f" {found['drifted']:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
