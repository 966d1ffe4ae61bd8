"""The verbs of `perenne package` that make images and list them: `perenne.cli.package` puts them together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from perenne import registry
from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.delivery.images import recipe, records
from perenne.delivery.images.bases import HOST
from perenne.delivery.images.delivering import Target, deliver
from perenne.delivery.images.layout import Hear
from perenne.delivery.images.making import Choice
from perenne.delivery.images.model import Image
from perenne.delivery.images.registries import Way
from perenne.registry import get_version, versions
from perenne.storage.workspace import Workspace


def making_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how an image is made, and where it goes."""
    options = (
        click.option("--to", default="", metavar="PLACE", help="A folder, FILE.tar, or registry/name:tag; else it stays here."),
        click.option("--tag", default="", help="How it is called in a folder or file; MODEL-NUMBER if not given."),
        click.option("--name", default="", help="What callers call the model; the project's name if not given."),
        click.option("--plain-http", is_flag=True, help="Ask a registry elsewhere than on this machine without TLS."),
        click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Whom to trust for TLS, in PEM."),
        click.option(
            "--wheels",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Wheels to take the libraries from.",
        ),
        click.option("--uncompressed", is_flag=True, help="Layers as plain tars: larger, and the same on every machine."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def base_option(default: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option that names the runtime."""
    return click.option(
        "--base",
        "bases",
        multiple=True,
        default=default,
        metavar="RUNTIME",
        help="What it stands on: `host` (this machine's Python), a root folder or tar, an OCI layout or archive, or an image in "
        "a registry. Repeat it for several platforms.",
    )


@click.command("image")
@click.argument("version")
@base_option((HOST,))
@making_options
@click.pass_obj
def image(workspace: Workspace, /, version: str, **options: Any) -> dict[str, Any]:
    """Make the image of a version, the same bytes for the same input, and bring it where it is to be.

    \b
    Examples:
      perenne package image churn@3 --to churn.tar
      perenne package image churn@3 --base python-root.tar --to registry.example.org/models/churn:3
    """
    with workspace.database.read() as tx:
        found = registry.placing.as_served(tx, get_version(tx, version))
    target, choice = taken(options)
    with told() as hear:
        made = deliver(workspace, local_principal(), found, choice, target, hear)
    return shown(made.image) | {"place": made.place}


def taken(options: dict[str, Any]) -> tuple[Target, Choice]:
    """Take `making_options` and `base_option` apart: where it goes, and how it is made."""
    wheels = options["wheels"]
    choice = Choice(
        bases=options["bases"],
        wheels=wheels and wheels.absolute(),
        name=options["name"],
        compressed=not options["uncompressed"],
    )
    return Target(options["to"], options["tag"], Way(options["plain_http"], options["ca"])), choice


@click.command("dockerfile")
@click.argument("version")
@click.option("--to", "--dockerfile", "folder", required=True, type=click.Path(path_type=Path), help="The folder, which is made.")
@click.option("--base", "bases", multiple=True, default=(), metavar="IMAGE", help="What its stages begin with.")
@click.option("--name", default="", help="What callers call the model; the project's name if not given.")
@click.option("--wheels", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Wheels to install from.")
@click.pass_obj
def dockerfile(
    workspace: Workspace, version: str, folder: Path, bases: tuple[str, ...], name: str, wheels: Path | None
) -> dict[str, Any]:
    """Write a Dockerfile with all it copies into a folder: the same service, built by other tools.

    \b
    Examples:
      perenne package dockerfile churn@3 --to churn-image
      perenne package dockerfile churn@3 --to churn-image --base registry.example.org/python@sha256:4f…
    """
    with workspace.database.read() as tx:
        found = registry.placing.as_served(tx, get_version(tx, version))
    written = recipe.write(workspace, found, folder.absolute(), Choice(bases, wheels, name=name))
    return {"version": version, "folder": str(folder), "files": written}


@click.command("list")
@click.argument("model")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Of at most this many versions.")
@click.pass_obj
def list_(workspace: Workspace, model: str, limit: int) -> list[dict[str, Any]]:
    """List the images of a model's versions, or of one version.

    \b
    Examples:
      perenne package list churn
      perenne package list churn@3
    """
    with workspace.database.read() as tx:
        named = [get_version(tx, model)] if "@" in model else versions(tx, model, limit=limit)
        found = records.images_of(tx, [version.id for version in named])
    return [
        {
            "version": one.version,
            "build": one.build,
            "digest": one.digest,
            "mb": round(one.size / 1e6, 1),
            "base": one.base,
            "place": one.reference,
            "deployment": one.deployment,
            "created": format_time(one.created),
            "by": one.created_by,
        }
        for one in found
    ]


def shown(made: Image) -> dict[str, Any]:
    """Return an image as a command answers it, with the size of each layer."""
    return {
        "version": made.version,
        "build": made.build,
        "digest": made.digest,
        "platforms": list(made.platforms),
        "base": made.base,
        "base_digest": made.base_digest,
        "size": made.size,
        "layers": [
            {
                "layer": layer.role.value,
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size": layer.size,
                "unpacked": layer.unpacked,
            }
            for layer in made.layers
        ],
        "components": len(made.components),
    }


@contextmanager
def told() -> Iterator[Hear]:
    """Give what says on stderr what is being done; nothing where nobody watches, or whoever does asked for quiet."""
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get("perenne.progress"):
        yield lambda _: None
        return
    try:
        yield lambda text: click.echo(f"\r{text}\x1b[K", err=True, nl=False)
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)
