"""`perenne data profile|compare`: looking at data, and writing down what was seen for others."""

from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.errors import NotFound, Unavailable
from perenne.core.results import Result
from perenne.data.comparing import ColumnDifference
from perenne.data.model import DataProfile
from perenne.data.personal import hidden, masked, record_reveal
from perenne.data.snapshot_commands import described, page_of
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

_FILE = click.Path(path_type=Path, dir_okay=False)
_reveal = click.option("--reveal", is_flag=True, help="Show the values of columns with personal data, if your role allows it.")


@click.command()
@click.argument("source")
@click.option("--target", help="The column to predict: how much does each column tell of it?")
@click.option("--html", type=_FILE, help="Write a page, one file that loads nothing.")
@click.option("--notebook", type=_FILE, help="Write a notebook whose cells make every table and picture again.")
@click.option("--out", type=_FILE, help="Write the whole profile as JSON, to be compared with later.")
@_reveal
@click.pass_obj
def profile(
    workspace: Workspace,
    source: str,
    target: str | None,
    html: Path | None,
    notebook: Path | None,
    out: Path | None,
    reveal: bool,
) -> Result:
    """Describe every column; --json gives the whole profile.

    SOURCE is a file, the beginning of a snapshot's id, or a profile that --out wrote. A Parquet file larger than memory is read
    in batches.

    \b
    Examples:
      perenne data profile churn.csv
      perenne data profile churn.csv --target churned --html churn.html --notebook churn.ipynb
    """
    found = _seen(workspace, source, target, reveal)
    written = [path for path in (html, notebook, out) if path is not None]
    if html is not None:
        from perenne.data.explore.page import profile_page

        _write(html, profile_page(found, source=source).encode())
    if notebook is not None:
        _write(notebook, _notebook(found, source))
    if out is not None:
        _write(out, json.encode(found))
    return Result(found, note=_note(found, written), shown=[described(column) for column in found.columns])


def _seen(workspace: Workspace, source: str, target: str | None, reveal: bool) -> DataProfile:
    """Return a profile as whoever asked may see it."""
    found = _found(workspace, source, target)
    if not reveal:
        return masked(found)
    _record(workspace, found)
    return found


def _found(workspace: Workspace, source: str, target: str | None) -> DataProfile:
    from perenne.data.looking import profile_of

    return profile_of(workspace.database, workspace.objects, local_principal(), source, target=target)


def _record(workspace: Workspace, *profiles: DataProfile) -> None:
    """Write down whose personal data was looked at, before it is shown."""

    def record(tx: Transaction) -> None:
        for found in profiles:
            record_reveal(tx, local_principal(), found)

    workspace.database.write(record)


def _notebook(found: DataProfile, source: str) -> bytes:
    from perenne.data.explore.notebook import write_notebook
    from perenne.data.large import is_large
    from perenne.data.looking import kept_profile

    path = Path(found.dataset if kept_profile(Path(source)) is not None else source)
    if found.digest:
        return write_notebook(found)
    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r} any more", code="data.not_found", hint="a notebook needs the rows")
    return write_notebook(found, source=str(path.absolute()), large=is_large(path))


def _note(found: DataProfile, written: list[Path]) -> str:
    from perenne.data.explore.noticing import NOTE, notices

    told = [f"{found.rows:,} rows, {found.duplicate_rows:,} of them repeat another"]
    look = [item for item in notices(found) if item.gravity != NOTE]
    told += [f"look: {item.column + ': ' if item.column else ''}{item.words}" for item in look[:8]]
    told += [f"and {len(look) - 8} more; --html shows them"] if len(look) > 8 else []
    return "\n".join([*told, *(f"wrote {path}" for path in written)])


@click.command("compare")
@click.argument("source")
@click.argument("other")
@click.option("--html", type=_FILE, help="Write a page with both side by side, one file that loads nothing.")
@click.option("--rows", is_flag=True, help="Count the rows that came and went, too.")
@click.option("--key", multiple=True, help="With --rows: a column that names a row; several together if given more than once.")
@_reveal
@click.pass_obj
def compare_(
    workspace: Workspace, source: str, other: str, html: Path | None, *, rows: bool, key: tuple[str, ...], reveal: bool
) -> Result:
    """Hold SOURCE beside OTHER, an earlier one: what differs most first, by their profiles.

    Each is a file, the beginning of a snapshot's id, or a profile that `perenne data profile --out` wrote.

    \b
    Examples:
      perenne data compare 8bf0aa02c1d4 044bc57e1967
      perenne data compare test.parquet train.parquet --html differences.html
      perenne data compare 8bf0aa02c1d4 044bc57e1967 --rows --key customer
    """
    from perenne.data.comparing import by_difference, compare
    from perenne.data.explore.rows import key_of

    mine, theirs = (_found(workspace, name, None) for name in (source, other))
    found = sorted(compare(theirs, mine), key=by_difference)
    if reveal:
        _record(workspace, mine, theirs)
    else:
        found = list(hidden(found, mine, theirs))
    if html is not None:
        from perenne.data.explore.comparison import comparison_page

        page = comparison_page(theirs, mine, labels=(_label(theirs, other), _label(mine, source)), reveal=reveal)
        _write(html, page.encode())
    note = _where(mine, theirs)
    if rows or key:
        note = "\n".join(filter(None, (_counted(workspace, source, other, key or key_of(theirs, mine)), note)))
    return Result(found, note=f"{note}\nwrote {html}" if html is not None else note, shown=[_differing(item) for item in found])


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}", code="data.cannot_write", hint="is there such a folder, and space?"
        ) from None


def _counted(workspace: Workspace, source: str, other: str, key: tuple[str, ...]) -> str:
    """Say which rows came and went."""
    from perenne.data.explore.rows import compare_rows
    from perenne.data.service import find_rows

    after, before = (find_rows(workspace.database, workspace.objects, name)[0] for name in (source, other))
    found = compare_rows(before, after, key)
    by = f"by {', '.join(found.key)}" if found.key else "as whole rows"
    told = f"rows, {by}: {found.added:,} new, {found.removed:,} gone, {found.changed:,} changed, {found.same:,} as before"
    columns = ", ".join(f"{item.name} ({item.rows:,})" for item in found.columns[:8])
    return f"{told}\nchanged in: {columns}" if columns else told


def _label(found: DataProfile, source: str) -> str:
    return f"{found.dataset} {found.digest[:12]}" if found.digest else Path(source).name


def _where(mine: DataProfile, theirs: DataProfile) -> str:
    if not (mine.digest and theirs.digest and mine.dataset == theirs.dataset):
        return ""
    return f"{page_of(mine.dataset, mine.digest)}&against={theirs.digest[:12]}"


def _differing(item: ColumnDifference) -> dict[str, Any]:
    return {
        "column": item.name,
        "change": item.change,
        "psi": None if item.psi is None else round(item.psi, 4),
        "js distance": None if item.js is None else round(item.js, 4),
        "what changed": item.words,
    }
