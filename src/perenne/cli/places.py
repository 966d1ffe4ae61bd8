"""Where state lies, said on the command line: `--database` and `--objects`, before a command or, for some, after it."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def place_options(command: Command) -> Command:
    """Give a command the options `--database` and `--objects`.

    Each is the environment variable of its name, said for this call: set before anything is opened, and so inherited by every
    process that this one starts.
    """
    for name, text in (
        ("objects", "URL of the object store: file:///…, s3://…, gs://… or az://…; PERENNE_OBJECTS if not given."),
        ("database", "URL of the metadata database; PERENNE_DATABASE if not given."),
    ):
        command = click.option(f"--{name}", metavar="URL", expose_value=False, callback=_use, help=text)(command)
    return command


def _use(context: click.Context, parameter: click.Parameter, url: str | None) -> None:
    if url is None:
        return
    from perenne.storage.objects import open_objects
    from perenne.storage.workspace import Workspace

    if parameter.name == "objects":
        open_objects(url)  # what is wrong with it is said now, not when the first object is needed
    os.environ[f"PERENNE_{parameter.name}".upper()] = url
    if context.parent is not None:  # the root makes its workspace after its options
        context.obj = context.find_root().with_resource(Workspace())
