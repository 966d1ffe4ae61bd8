"""`perenne data personal|mask|erase|erasures`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.core.results import EXIT_FINDINGS, Result

if TYPE_CHECKING:
    import pyarrow as pa

    from perenne.data.privacy.certificates import Certificate
    from perenne.data.privacy.planning import Located
    from perenne.storage.workspace import Workspace

_FILE = click.Path(path_type=Path, dir_okay=False)
_RULE = "column=RULE: hash, mask, truncate:N, round:N, day, month, year, network, drop."


@click.command()
@click.argument("source")
@click.option("--hints", is_flag=True, help="Also what is no more than a hint: names, addresses, a few among others.")
@click.pass_obj
def personal(workspace: "Workspace", source: str, hints: bool) -> Result:
    """Look for personal data in SOURCE; samples are hidden. Exit code 6 if any is found.

    Kinds with a check digit are checked by it. Names and addresses are only ever hints, which a person must look at.

    \b
    Examples:
      perenne data personal customers.csv
      perenne data personal 044bc57e1967 --hints
    """
    from perenne.data import service
    from perenne.data.privacy.detecting import find_personal

    table, _ = service.find_rows(workspace.database, workspace.objects, source)
    found = find_personal(table)
    told = [item for item in found if hints or not item.hint]
    left = len(found) - len(told)
    note = f"{left} hints; --hints shows them" if left else ("" if told else "nothing found by pattern; a person knows better")
    shown = [
        {
            "column": item.column,
            "kind": item.words,
            "confidence": f"{item.confidence:.0%}",
            "share": f"{item.share:.0%}",
            "": "hint" if item.hint else "",
            "samples": "  ".join(item.samples),
        }
        for item in told
    ]
    return Result(told, EXIT_FINDINGS if any(not item.hint for item in told) else 0, note, shown)


@click.command()
@click.argument("source")
@click.option("--rule", "rules", multiple=True, required=True, help=_RULE)
@click.option(
    "--key-file", type=_FILE, help="The key of hashes, under which tables still join; this installation's if not given."
)
@click.option("-o", "--output", type=_FILE, help="A file to write: .parquet or .csv.")
@click.option("--dataset", help="Keep the rows as a snapshot of this data set, with where they came from.")
@click.pass_obj
def mask(
    workspace: "Workspace", source: str, rules: tuple[str, ...], key_file: Path | None, output: Path | None, dataset: str | None
) -> Result:
    """Hide personal data of SOURCE in a new file or snapshot: the same rows, rules and key give the same one.

    \b
    Examples:
      perenne data mask customers.csv --rule email=hash --rule born=year -o hidden.parquet
      perenne data mask 044bc57e1967 --rule email=hash --rule phone=drop --dataset customers-hidden
    """
    from perenne.auth.principals import local_principal
    from perenne.data import service
    from perenne.data.privacy.keys import installation_key, key_from_file
    from perenne.data.privacy.masking import mask_table, read_rules
    from perenne.data.privacy.versions import keep_masked

    if (output is None) == (dataset is None):
        raise click.UsageError("give one of --output and --dataset")
    chosen = read_rules(rules)
    key = key_from_file(key_file) if key_file is not None else installation_key(workspace.settings.home)
    table, snapshot = service.find_rows(workspace.database, workspace.objects, source)
    masked = mask_table(table, chosen, key)
    if output is not None:
        _write(masked, output)
        return Result({"file": str(output), "rows": masked.num_rows, "rules": list(map(str, chosen))})
    taken = keep_masked(
        workspace.database, workspace.objects, local_principal(), masked, chosen, dataset=str(dataset),
        source=snapshot[:12] or Path(source).name, snapshot=snapshot,
    )  # fmt: skip
    return Result(taken, shown={"id": taken.id, "dataset": taken.dataset, "rows": taken.rows})


def _write(table: "pa.Table", output: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    from perenne.core.errors import Invalid

    if output.suffix not in (".parquet", ".csv"):
        raise Invalid(f"output: {output.name} is neither .parquet nor .csv", code="data.output", hint="name it so")
    beside = output.with_name(f".{output.name}.new")
    try:
        if output.suffix == ".csv":
            pyarrow.csv.write_csv(table, beside)
        else:
            pyarrow.parquet.write_table(table, beside, compression="zstd")
        beside.replace(output)
    except OSError as error:
        problem = f"output: {output} cannot be written: {error.strerror}"
        raise Invalid(problem, code="data.output", hint="name a file in a folder") from None
    finally:
        beside.unlink(missing_ok=True)


@click.command()
@click.option("--subject", help="Whose rows: column=value.")
@click.option("--any-case", is_flag=True, help="Small and capital letters are the same.")
@click.option("--dataset", "datasets", multiple=True, help="Only in snapshots of this data set; more than once for more.")
@click.option("--reason", default="", help="Why, for the audit trail; do not name the person there.")
@click.option("--yes", is_flag=True, help="Erase; without it, it is only shown what would be.")
@click.option("--certificate", type=_FILE, help="Write the certificate to a file.")
@click.option("--resume", is_flag=True, help="Finish what was begun and interrupted.")
@click.pass_obj
def erase(
    workspace: "Workspace",
    subject: str | None,
    any_case: bool,
    datasets: tuple[str, ...],
    reason: str,
    yes: bool,
    certificate: Path | None,
    resume: bool,
) -> Result:
    """Remove one person's rows from every snapshot, for good; without --yes nothing is changed.

    Each snapshot that holds such rows is written anew without them, and its old object is removed. A certificate tells what was
    done, and what lies beyond reach; only a keyed hash of the value is kept.

    \b
    Examples:
      perenne data erase --subject email=ada@example.org
      perenne data erase --subject email=ada@example.org --yes --reason "request 4711"
      perenne data erase --resume
    """
    from perenne.auth.principals import local_principal
    from perenne.data.privacy import erasing
    from perenne.data.privacy.keys import installation_key
    from perenne.data.privacy.planning import read_subject

    parts = workspace.database, workspace.objects, local_principal()
    if resume == (subject is not None):
        raise click.UsageError("give one of --subject and --resume")
    if subject is None:
        finished = erasing.resume(*parts, workspace.clock)
        return Result(finished, note="" if finished else "nothing was left unfinished", shown=list(map(_certified, finished)))
    whose = read_subject(subject, any_case=any_case)
    if not yes:
        found = erasing.plan(*parts, whose, datasets)
        note = "nothing was changed; --yes erases" if found else "no snapshot holds such a row"
        return Result(found, note=note, shown=list(map(_located, found)))
    key = installation_key(workspace.settings.home)
    done = erasing.erase(*parts, workspace.clock, whose, key, datasets=datasets, reason=reason)
    if done is None:
        return Result([], note="no snapshot holds such a row")
    if certificate is not None:
        _write_certificate(certificate, done)
    return Result(done, note="beyond reach:\n" + "\n".join(f"- {item}" for item in done.beyond), shown=_certified(done))


def _write_certificate(file: Path, done: "Certificate") -> None:
    from perenne.core.errors import Invalid
    from perenne.data.privacy.certificates import written

    try:
        file.write_bytes(written(done))
    except OSError as error:
        hint = f"`perenne data erasures {done.id}` writes it again"
        raise Invalid(f"certificate: {file} cannot be written: {error.strerror}", code="data.certificate", hint=hint) from None


def _located(found: "Located") -> dict[str, Any]:
    datasets = ", ".join(found.datasets)
    return {"snapshot": found.snapshot[:12], "dataset": datasets, "rows of the subject": len(found.rows), "of": found.total}


def _certified(done: "Certificate") -> dict[str, Any]:
    return {
        "erasure": done.id,
        "snapshots": len(done.snapshots),
        "rows": sum(item.erased for item in done.snapshots),
        "models that learned from them": ", ".join(done.versions) or "none known",
    }


@click.command()
@click.argument("erasure", required=False)
@click.option("--verify", type=_FILE, help="Hold a certificate against the audit trail; exit code 6 if it is not the one.")
@click.pass_obj
def erasures(workspace: "Workspace", erasure: str | None, verify: Path | None) -> Any:
    """List erasures; with the id of one, print its certificate.

    \b
    Examples:
      perenne data erasures
      perenne data erasures 01J9ZK… > certificate.json
      perenne data erasures --verify certificate.json
    """
    from perenne.core.clock import format_time
    from perenne.core.errors import NotFound
    from perenne.data import erasure_store
    from perenne.data.privacy.certificates import problem_of

    with workspace.database.read() as tx:
        if verify is not None:
            problem = problem_of(tx, verify.read_bytes()) if verify.is_file() else "there is no such file"
            return Result(problem or "the audit trail tells of this certificate", EXIT_FINDINGS if problem else 0)
        found = erasure_store.newest(tx, 1_000) if erasure is None else [erasure_store.find(tx, erasure)]
    if found == [None]:
        problem = f"there is no erasure {str(erasure)[:60]!r}"
        raise NotFound(problem, code="data.erasure_not_found", hint="`perenne data erasures` lists them")
    if erasure is not None and found[0] is not None and found[0].certificate:
        return workspace.objects.get(found[0].certificate).decode()
    shown = [
        {
            "id": item.id,
            "column": item.column,
            "by": item.started_by,
            "begun": format_time(item.started),
            "finished": format_time(item.finished) if item.finished else "not yet: `perenne data erase --resume`",
            "reason": item.reason,
        }
        for item in found
        if item is not None
    ]
    return Result(found, note="" if shown else "nothing was erased", shown=shown)
