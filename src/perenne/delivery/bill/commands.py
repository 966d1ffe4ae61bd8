"""`perenne model bill`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne import registry
from perenne.auth.principals import local_principal
from perenne.core.clock import SystemClock
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN, Result
from perenne.delivery.bill import checking, cyclonedx
from perenne.delivery.bill.model import Materials
from perenne.delivery.bill.subject import of_version
from perenne.registry import Evidence, Verdict
from perenne.storage.files import write_atomically
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("version")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the bill to a file.")
@click.option("--check", is_flag=True, help="Look for vulnerabilities and licences that are not allowed; keep it as evidence.")
@click.pass_obj
def bill(workspace: Workspace, version: str, to: Path | None, check: bool) -> Result:
    """Write the bill of materials of a version: CycloneDX 1.6 with --json or --to, else its parts as a table.

    With --check exits with 6 if something is found, with 7 if something could not be told.

    \b
    Examples:
      perenne model bill churn@3
      perenne model bill churn@3 --to churn.cdx.json
      perenne model bill churn@3 --check
    """
    found = of_version(workspace, version)
    if check:
        return _checked(workspace, version, checking.check(*found, checking.settings(), SystemClock().now()))
    data = cyclonedx.write(*found)
    if to is not None:
        write_atomically(to, data)
    note = "; ".join(found.materials.gaps)
    return Result(msgspec.json.decode(data), shown=_table(found.materials), note=f"not known: {note}" if note else "")


def _table(materials: Materials) -> list[dict[str, Any]]:
    return [
        {
            "part": part.name,
            "version": part.version,
            "licence": part.licence or part.said,
            "needed": "to answer" if part.runtime else "to package",
            "unknown": part.gap or ("" if part.licence else "licence"),
        }
        for part in checking.parts_of(materials)
    ]


def _checked(workspace: Workspace, version: str, rows: list[Evidence]) -> Result:
    workspace.database.write(
        lambda tx: registry.approvals.add_evidence(tx, local_principal(), version, rows, produced_by="perenne model bill")
    )
    verdicts = {row.verdict for row in rows}
    code = EXIT_FINDINGS if Verdict.FAIL in verdicts else EXIT_UNKNOWN if Verdict.UNKNOWN in verdicts else 0
    return Result([{"check": row.check, "verdict": row.verdict.value, "detail": row.detail} for row in rows], code)
