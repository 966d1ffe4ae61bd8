"""`perenne debug bundle`: what a bug report needs in one file, without secrets, rows of data or inputs of models."""

from pathlib import Path

import click
import msgspec

from perenne.cli.places import place_options
from perenne.core.results import Result
from perenne.storage.workspace import Workspace


class BundleLine(msgspec.Struct, frozen=True):
    """A file of the bundle, for a person to read."""

    file: str
    bytes: int
    what: str


@click.group()
def debug() -> None:
    """For bug reports."""


@debug.command()
@place_options
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it.")
@click.pass_obj
def bundle(workspace: Workspace, output: Path | None) -> Result:
    """Put versions, settings, findings, counts, failures, log lines and metrics into one zip file.

    Secrets are blackened; rows of data, inputs of models and the contents of jobs and events are left out.

    \b
    Examples:
      perenne debug bundle --output report.zip
    """
    from perenne.cli.bundling import write_bundle

    path, files = write_bundle(workspace, output)
    return Result(
        [BundleLine(file.name, len(file.data), file.what) for file in files], note=f"written to {path}: look at it first"
    )
