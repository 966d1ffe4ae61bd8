"""`perenne data validate|schema|fix`."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.core.results import EXIT_FINDINGS, Result

if TYPE_CHECKING:
    from perenne.data.model import Anomaly, DataProfile
    from perenne.data.validation.rules import Schema
    from perenne.storage.workspace import Workspace

_FILE = click.Path(path_type=Path, dir_okay=False)
_SCHEMA = click.option("--schema", "file", type=_FILE, help="A schema in YAML.")
_PROJECT = click.option(
    "--project", type=click.Path(path_type=Path, file_okay=False), help="Where a schema's checks are imported from."
)
_ENVIRONMENT = click.option("--environment", default="", help="One of the schema's: its absent columns may be missing.")


@click.command()
@click.argument("source")
@_SCHEMA
@click.option("--baseline", help="A file or snapshot to hold drift against; without --schema, its inferred schema is taken.")
@click.option("--key", multiple=True, help="A column that names a row; several together if given more than once.")
@click.option("--until", help="No row may be later than this: 2013-04-01 or 2013-04-01T12:00:00Z.")
@_ENVIRONMENT
@_PROJECT
@click.option("--html", type=_FILE, help="Write a page of what was found.")
@click.option("--reveal", is_flag=True, help="Show the values of columns with personal data, if your role allows it.")
@click.pass_obj
def validate(
    workspace: "Workspace",
    source: str,
    file: Path | None,
    baseline: str | None,
    key: tuple[str, ...],
    until: str | None,
    environment: str,
    project: Path | None,
    html: Path | None,
    reveal: bool,
) -> Result:
    """Hold SOURCE against a schema; exit code 6 if it breaks a rule that is an error.

    A file of Parquet, a large file of CSV and a snapshot are streamed: they need not fit into memory.

    \b
    Examples:
      perenne data validate today.csv --schema schemas/customers.yaml
      perenne data validate today.csv --schema customers.yaml --baseline 044bc57e1967 --html f.html
      perenne data validate requests.parquet --schema schemas/customers.yaml --environment serving
      perenne data validate today.csv --baseline 044bc57e1967 --key customer
    """
    from perenne.core.clock import parse_time
    from perenne.data.model import Severity
    from perenne.data.personal import masked_in
    from perenne.data.validation.checking import validate as find_anomalies
    from perenne.data.validation.opening import open_rows
    from perenne.data.validation.telling import personal_columns

    if file is None and baseline is None:
        raise click.UsageError("give --schema, or --baseline, or both")
    described = _described(workspace, baseline) if baseline is not None else None
    rules = _rules(file, described)
    opened = open_rows(workspace.database, workspace.objects, source, rules)
    total, personal = opened.rows.total, personal_columns(opened.rows)
    found = find_anomalies(
        opened.rows, rules, key=key, until=None if until is None else parse_time(until), now=workspace.clock.now(),
        baseline=described, environment=environment, root=project or _project_of(file),
    )  # fmt: skip
    against = file.name if file is not None else (described.digest if described else "") or str(baseline)
    if opened.snapshot:
        _keep(workspace, opened.snapshot, found, against)
    if reveal:
        _reveal(workspace, opened.snapshot, personal)
    else:
        found = list(masked_in(personal, found))
    if html is not None:
        _write_page(html, source, against, total, found)
    errors = sum(anomaly.severity is Severity.ERROR for anomaly in found)
    note = f"{errors} errors, {len(found) - errors} warnings" if found else "keeps every rule"
    return Result(found, EXIT_FINDINGS if errors else 0, note, [_told(anomaly) for anomaly in found])


def _rules(file: Path | None, described: "DataProfile | None") -> "Schema":
    from perenne.data.validation.inferring import infer_schema
    from perenne.data.validation.schema import read_schema_file

    if file is not None:
        return read_schema_file(file)
    assert described is not None
    return infer_schema(described)


def _described(workspace: "Workspace", source: str) -> "DataProfile":
    from perenne.auth.principals import local_principal
    from perenne.data.looking import profile_of

    return profile_of(workspace.database, workspace.objects, local_principal(), source)


def _keep(workspace: "Workspace", snapshot: str, found: "Sequence[Anomaly]", against: str) -> None:
    """Keep what was found beside the snapshot."""
    from perenne.auth.principals import local_principal
    from perenne.data.looking import look
    from perenne.data.snapshots import get_snapshot

    with workspace.database.read() as tx:
        taken = get_snapshot(tx, snapshot)
    look(workspace.database, workspace.objects, local_principal(), taken, findings=found, baseline=against)


def _reveal(workspace: "Workspace", snapshot: str, columns: set[str]) -> None:
    """Write down that personal values are shown, before they are; a file is on that person's own disk."""
    from perenne.auth.principals import local_principal
    from perenne.data.personal import record_revealed

    workspace.database.write(lambda tx: record_revealed(tx, local_principal(), snapshot, sorted(columns)))


def _project_of(file: Path | None) -> Path | None:
    """Return the folder of the project that a schema lies in: the nearest one above it with a `project.py`, or its own."""
    if file is None:
        return None
    above = file.resolve().parents
    return next((folder for folder in above if (folder / "project.py").is_file()), above[0])


def _write_page(html: Path, source: str, against: str, total: int, found: "Sequence[Anomaly]") -> None:
    from perenne.core.errors import Invalid
    from perenne.data.validation.page import page_of

    try:
        html.write_text(page_of(source, against, total, found), encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{html} cannot be written: {error.strerror}", code="data.page", hint="name a file in a folder") from None


def _told(anomaly: "Anomaly") -> dict[str, Any]:
    rows = ", ".join(str(sample.row) for sample in anomaly.sample_rows)
    values = ", ".join(str(sample.value)[:30] for sample in anomaly.sample_rows if sample.value is not None)
    return {
        "severity": anomaly.severity.value,
        "column": anomaly.column,
        "check": anomaly.check,
        "expected": anomaly.expected,
        "rows broken": anomaly.count,
        "share": f"{anomaly.fraction:.2%}",
        "first rows": rows,
        "values": values,
    }


@click.command()
@click.argument("source")
@click.option("--key", multiple=True, help="A column that names a row; several together if given more than once.")
@click.option("--time", help="The column that says when a row was known.")
@click.option(
    "--to", "form", type=click.Choice(["json-schema", "pandera"]), help="Write SOURCE, a schema in YAML, for other tools."
)
@click.pass_obj
def schema(workspace: "Workspace", source: str, key: tuple[str, ...], time: str | None, form: str | None) -> str:
    """Write the schema that SOURCE keeps, as YAML to read, edit and review; or a schema as other tools write it.

    \b
    Examples:
      perenne data schema churn.csv > schemas/customers.yaml
      perenne data schema churn.csv --key customer --time day
      perenne data schema schemas/customers.yaml --to json-schema
      perenne data schema schemas/customers.yaml --to pandera > customers_schema.py
    """
    from perenne.data.validation.inferring import infer_schema
    from perenne.data.validation.schema import read_schema_file, write_schema

    if form is None:
        return write_schema(infer_schema(_described(workspace, source), key=key, time=time)).rstrip()
    from perenne.data.validation.exporting import to_json_schema, to_pandera

    path = Path(source)
    rules = read_schema_file(path)
    return (to_json_schema(rules, path.stem) if form == "json-schema" else to_pandera(rules, path.stem)).rstrip()


@click.command()
@click.argument("source")
@click.option("--schema", "file", type=_FILE, required=True, help="The schema that is to follow SOURCE.")
@click.option("--baseline", help="A file or snapshot to hold drift against.")
@click.option("--only", multiple=True, help="Only what concerns this column, or this check; more than once for more.")
@click.option("--yes", is_flag=True, help="Write the changes into the schema; without it they are only shown.")
@_ENVIRONMENT
@_PROJECT
@click.pass_obj
def fix(
    workspace: "Workspace",
    source: str,
    file: Path,
    baseline: str | None,
    only: tuple[str, ...],
    yes: bool,
    environment: str,
    project: Path | None,
) -> Result:
    """Say how the schema would have to change so that SOURCE keeps it, if the change was meant; --yes writes it.

    Comments, order and everything else in the file stay. What no rule can follow, such as a repeated key, is named and left.
    Exit code 6 if something is left.

    \b
    Examples:
      perenne data fix today.csv --schema schemas/customers.yaml
      perenne data fix today.csv --schema schemas/customers.yaml --only plan --yes
    """
    from perenne.data.validation.fixing import propose
    from perenne.data.validation.opening import open_rows
    from perenne.data.validation.schema import read_schema, schema_text

    text = schema_text(file)
    rules = read_schema(text, file.name)
    proposal = propose(
        lambda: open_rows(workspace.database, workspace.objects, source, rules).rows, text, rules, only=only,
        name=file.name, now=workspace.clock.now(), environment=environment, root=project or _project_of(file),
        baseline=_described(workspace, baseline) if baseline is not None else None,
    )  # fmt: skip
    diff = "".join(difflib.unified_diff(text.splitlines(True), proposal.text.splitlines(True), str(file), f"{file} (proposed)"))
    if yes and proposal.text != text:
        _replace(file, proposal.text)
    left = [f"left: {item.sentence}" for item in proposal.left]
    done = (
        f"{len(proposal.suggestions)} changes {'written' if yes else 'proposed'}" if proposal.suggestions else "nothing to change"
    )
    note = "\n".join([diff.rstrip(), done if yes or not proposal.suggestions else f"{done}; --yes writes them", *left]).strip()
    return Result(proposal, EXIT_FINDINGS if proposal.left else 0, note, [_suggested(item) for item in proposal.suggestions])


def _suggested(item: Any) -> dict[str, Any]:
    return {"column": item.column, "change": item.change, "because": item.because}


def _replace(file: Path, text: str) -> None:
    """Write a file in place of the one that is there, whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
