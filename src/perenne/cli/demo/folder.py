"""The demo's folder: made anew, and removed again, if it is a demo's and nothing runs in it."""

import shutil
from pathlib import Path

from perenne.cli.demo.flights.tables import write_flights
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, NotFound
from perenne.telemetry.heartbeats import State, signs, state_of

MARK = ".perenne-demo"
FLIGHTS = "flights.parquet"
LAST_FLIGHT = "2013-09-01"


def prepare(folder: Path) -> None:
    """Make the demo's folder with its project; an earlier demo goes.

    Raises
    ------
    Conflict
        If the folder holds something that is not an earlier demo, or something still runs there.
    """
    if folder.exists():
        if not (folder / MARK).exists() and any(folder.iterdir()):
            raise Conflict(f"{folder} is not an earlier demo", code="demo.folder", hint="name another with --folder")
        _require_silent(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    shutil.copyfile(Path(__file__).parent / "flights" / "project.py", folder / "project.py")


def lay_flights(folder: Path, *, fast: bool) -> None:
    """Lay the recorded flights into the folder: half of them if it is to be fast."""
    write_flights(folder / FLIGHTS, until=LAST_FLIGHT, every=2 if fast else 1)


def require_demo(folder: Path) -> None:
    """Check that a folder is a demo's, and that nothing runs there.

    Raises
    ------
    NotFound, Conflict
        If it is not there, is something else, or something runs there.
    """
    if not folder.exists():
        raise NotFound(f"{folder} is not there", code="demo.folder", hint="name the demo's folder with --folder")
    if not (folder / MARK).exists():
        raise Conflict(f"{folder} was not made by the demo and stays", code="demo.folder", hint="name the demo's with --folder")
    _require_silent(folder)


def remove(folder: Path) -> None:
    """Remove the demo's folder with everything in it. Raises what `require_demo` does."""
    require_demo(folder)
    shutil.rmtree(folder)


def _require_silent(folder: Path) -> None:
    running = [sign for sign in signs(load_settings(folder, {}).home) if state_of(sign) is not State.GONE]
    if running:
        who = ", ".join(f"{sign.kind} {sign.pid}" for sign in running)
        raise Conflict(f"something runs in {folder}: {who}", code="demo.running", hint="end it first, with Ctrl-C where it runs")
