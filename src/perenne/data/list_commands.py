"""`perenne data list`: snapshots of tables, or the files of a repository."""

from typing import Any

import click

from perenne.data.snapshot_commands import list_ as list_snapshots
from perenne.data.versions.taking_commands import list_ as list_files

_OF_SNAPSHOTS = {str(parameter.name) for parameter in list_snapshots.params}


@click.command("list", params=[*list_files.params, *list_snapshots.params])
@click.pass_context
def list_(context: click.Context, /, repository: str | None, **options: Any) -> Any:
    """List snapshots of tables; or, with a REPOSITORY (a folder or a URL), its files at PATH.

    \b
    Examples:
      perenne data list
      perenne data list --dataset subscriptions --limit 5
      perenne data list . data --recursive
      perenne data list https://github.com/org/data --rev v1.0
    """
    if repository is None:
        return context.invoke(list_snapshots, **{name: value for name, value in options.items() if name in _OF_SNAPSHOTS})
    of_files = {name: value for name, value in options.items() if name not in _OF_SNAPSHOTS}
    return context.invoke(list_files, repository=repository, **of_files)
