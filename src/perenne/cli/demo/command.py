"""`perenne demo`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from perenne.core.errors import Invalid
from perenne.core.results import Result

if TYPE_CHECKING:
    from perenne.cli.demo.story import Story


@click.command()
@click.option("--fast", is_flag=True, help="Half the flights and no pauses: under 40 seconds, but for what is asked of you.")
@click.option("--yes", is_flag=True, help="Approve and resume without asking; the audit trail says so.")
@click.option("--pace", type=click.FloatRange(0, 60), metavar="SECONDS", help="For a day of the story; 1.4 while you watch.")
@click.option("--once", is_flag=True, help="End with the story, also at a terminal.")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The page's port; 7373, or a free one, if not given.")
@click.option("--clean", is_flag=True, help="Remove the demo's folder, and do nothing else.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("perenne-demo"), show_default=True, help="Where it lives."
)
def demo(
    fast: bool, yes: bool, pace: float | None, once: bool, no_browser: bool, port: int | None, clean: bool, folder: Path
) -> Result:
    """Go all the way round with the real flights of 2013, in accelerated time, with the page beside it.

    Trains on the first three months, serves, replays the days that follow as HTTP traffic with labels a day late, and lets
    the loop act on what it sees. Then it breaks something upstream, and says so. At a terminal it asks you to decide what waits
    for a person, there or on the page, and goes on at the end until Ctrl-C. It leaves a project in the folder to go on with.

    \b
    Examples:
      perenne demo
      perenne demo --fast --yes --once
      perenne demo --clean
    """
    if clean:
        return _clean(folder, yes)
    from perenne.cli.demo.playing import Options, play
    from perenne.cli.terminal import WISHES

    signal.signal(signal.SIGTERM, _interrupt)  # what it started ends with it
    pace = 0.0 if fast and pace is None else pace
    once = once or WISHES.as_json  # whoever wants data wants an end
    told = play(folder, Options(fast=fast, yes=yes, pace=pace, once=once, browser=not no_browser, port=port, quiet=WISHES.quiet))
    return Result(told, shown="", note=_note(told))


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clean(folder: Path, yes: bool) -> Result:
    from perenne.cli.demo.folder import remove, require_demo

    require_demo(folder)
    if not yes:
        if not sys.stdin.isatty():
            raise Invalid(f"{folder} is to be removed", code="demo.clean", hint="say --yes where nobody can be asked")
        click.confirm(f"Remove {folder} with everything in it?", abort=True, err=True)
    remove(folder)
    return Result(f"{folder} is removed")


def _note(told: "Story") -> str:
    if not told.champion:
        return f"\nNothing answers. The project is in {told.folder}: `perenne status` and `perenne audit list` tell about it."
    asked = f"{told.flights} flights in {told.requests} requests, {told.labels} labels, {len(told.episodes)} episodes"
    stands = f"{told.champion} is stopped" if told.stopped else f"{told.champion} answers now"
    return f"""
{asked}, {told.seconds:.0f} s. {stands}.

What to try next, in {told.folder}:
  perenne why {told.prediction}
  perenne status
  perenne model show {told.champion}
  perenne policy episodes
  perenne monitor show flight-delays
  perenne audit verify
  perenne up
`perenne demo --clean` removes it all."""
