"""`perenne demo`."""

from pathlib import Path

import click

from perenne.core.results import Result


@click.command()
@click.option("--fast", is_flag=True, help="Half the flights and fewer days: under 40 seconds.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("perenne-demo"), show_default=True, help="Where it lives."
)
def demo(fast: bool, folder: Path) -> Result:
    r"""Go all the way round with the real flights of 2013, in accelerated time.

    Trains on the first three months, serves, replays the days that follow as HTTP traffic with labels a day late, and lets
    the loop act on what it sees. It leaves a project in the folder to go on with.

    \b
    Examples:
      perenne demo
      perenne demo --fast --folder flights
    """
    from perenne.cli.demo.story import tell

    told = tell(folder, fast=fast)
    asked = f"{told.flights} flights in {told.requests} requests, {told.labels} labels, {len(told.episodes)} episodes"
    note = f"""
{asked}, {told.seconds:.0f} s. {told.champion} answers now.

What to try next, in {told.folder}:
  perenne why {told.prediction}
  perenne status
  perenne model show {told.champion}
  perenne policy episodes
  perenne monitor show flight-delays
  perenne audit verify
  perenne up"""
    return Result(told, shown="", note=note)
