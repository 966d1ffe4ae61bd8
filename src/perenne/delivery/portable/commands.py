"""`perenne package edge|browser`: a version for where perenne is not."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.auth.principals import local_principal
from perenne.delivery.portable.exporting import PortableKind, export
from perenne.delivery.portable.model import Limits
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.delivery.portable.model import PortableReport


def _options(kind: PortableKind) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that both kinds have."""
    options = (
        click.argument("version"),
        click.option(
            "--to", f"--{kind.value}", "target", required=True, type=click.Path(path_type=Path), help="The folder to make."
        ),
        click.option(
            "--differing", type=click.FloatRange(0, 1), default=0.0, help="Share of rows a smaller graph may answer otherwise; 0."
        ),
        click.option(
            "--difference", type=click.FloatRange(0), default=1e-6, help="How far a probability may then be off; 0.000001."
        ),
        click.option("--without-rows", is_flag=True, help="One typical row travels with it, instead of example rows."),
    )

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return click.pass_obj(command)

    return give


@click.command()
@_options(PortableKind.EDGE)
def edge(workspace: Workspace, /, version: str, target: Path, **wishes: Any) -> "PortableReport":
    """Write a folder that answers with numpy and ONNX Runtime alone: the graph, and a server of one file.

    \b
    Examples:
      perenne package edge churn@3 --to churn-edge
      perenne package edge churn@3 --to churn-edge --without-rows
    """
    return _export(workspace, version, target, PortableKind.EDGE, **wishes)


@click.command()
@_options(PortableKind.BROWSER)
def browser(workspace: Workspace, /, version: str, target: Path, **wishes: Any) -> "PortableReport":
    """Write a page that answers by itself in a browser; any server of files will do for it.

    \b
    Examples:
      perenne package browser churn@3 --to churn-page
      perenne package browser churn@3 --to churn-page --differing 0.002 --difference 0.01
    """
    return _export(workspace, version, target, PortableKind.BROWSER, **wishes)


def _export(
    workspace: Workspace,
    version: str,
    target: Path,
    kind: PortableKind,
    *,
    differing: float,
    difference: float,
    without_rows: bool,
) -> "PortableReport":
    return export(
        workspace,
        local_principal(),
        version,
        target,
        kind,
        limits=Limits(differing, difference),
        with_rows=not without_rows,
    )
