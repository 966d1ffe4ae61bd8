"""Every check of the repository, in one command: `./perenne test [--long] [pytest arguments]`.

Lint, format, types, architecture, then pytest over tests, doctests and the snippets of the docs. All parts run even if one fails;
pytest comes last: its closing line is the last one, but for a word on a missing browser. Exits with 1 if any part failed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.web.browsers import MISSING, find_chromium  # noqa: E402

TOOLS = Path(sys.executable).parent


def typed_folders() -> list[str]:
    """Name the folders that hold Python: mypy refuses one that holds none."""
    return [name for name in ("src", "tests", "benchmarks") if any((ROOT / name).rglob("*.py"))]


def parts() -> list[tuple[str, list[str]]]:
    """Return the name and the command of every check that is not a test."""
    return [
        ("lint", [str(TOOLS / "ruff"), "check", "--quiet", "."]),
        ("format", [str(TOOLS / "ruff"), "format", "--quiet", "--check", "."]),
        ("types", [str(TOOLS / "mypy"), "--no-error-summary", *typed_folders()]),
        ("imports", [str(TOOLS / "lint-imports"), "--no-logo"]),
    ]


def pytest_command(arguments: Sequence[str]) -> list[str]:
    """Return pytest's command line: with given arguments just those, else everything, by two processes more than there are cores.

    Tests wait for servers, disks and browsers about as long as they compute.
    """
    long = "--long" in arguments
    given = [argument for argument in arguments if argument != "--long"]
    command = [sys.executable, "-m", "pytest", "--doctest-modules"]
    if not long:
        command += ["-m", "not long"]
    if not given:
        command += ["--numprocesses", str(2 + (os.cpu_count() or 1)), "--dist", "worksteal"]
    return [*command, *given]


def run(command: Sequence[str], *, quietly: bool = False) -> bool:
    """Run one check from the root of the repository, its output shown at once or, if `quietly`, only when it fails."""
    if not quietly:
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout.rstrip(), flush=True)
    return done.returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Run every check; with `--help`, tell how."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    failed = []
    for name, command in parts():
        started = time.monotonic()
        ok = run(command, quietly=True)
        print(f"{name:<8} {'ok' if ok else 'FAILED'}  {time.monotonic() - started:.1f} s", flush=True)
        if not ok:
            failed.append(name)
    if failed:
        print(f"failed before the tests: {', '.join(failed)}", flush=True)
    tests_passed = run(pytest_command(arguments))
    browser = browser_there()
    return 0 if tests_passed and not failed and browser else 1


def browser_there() -> bool:
    """Say so in the last lines if the page was not driven in a browser; in CI that fails the run."""
    if find_chromium():
        return True
    print(MISSING, flush=True)
    return not os.environ.get("CI")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
