"""`perenne deploy log`: what is kept of a deployment's predictions, and where it goes."""

from typing import Any

import click
from msgspec import to_builtins

from perenne.auth.principals import local_principal
from perenne.core.clock import format_duration, parse_duration
from perenne.serving import service
from perenne.serving.log_rules import LogRules
from perenne.serving.log_settings import change_log
from perenne.serving.releases import release
from perenne.storage.workspace import Workspace


@click.command("log")
@click.argument("name")
@click.option("--sample", type=click.FloatRange(0, 100), metavar="PERCENT", help="Of how many requests the rows are kept.")
@click.option(
    "--redact", multiple=True, metavar="INPUT=RULE", help="Hide an input; takes the place of all rules before. See below."
)
@click.option("--no-redact", is_flag=True, help="Hide nothing any more.")
@click.option("--keep", metavar="DURATION", help="Remove rows after so long, such as 30d; 0 keeps them for good.")
@click.option("--ecs/--no-ecs", default=None, help="Also write each row as a line of ECS JSON, for Filebeat.")
@click.option("--elasticsearch/--no-elasticsearch", default=None, help="Also send each row to PERENNE_ELASTICSEARCH_URL.")
@click.option("--cloudevents", metavar="URL", help="Send requests and answers there as CloudEvents; an empty text ends it.")
@click.option("--mode", type=click.Choice(("binary", "structured", "batch")), help="The form of CloudEvents.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def log(
    workspace: Workspace,
    name: str,
    sample: float | None,
    redact: tuple[str, ...],
    no_redact: bool,
    keep: str | None,
    ecs: bool | None,
    elasticsearch: bool | None,
    cloudevents: str | None,
    mode: str | None,
    reason: str,
) -> dict[str, Any]:
    """Show what is kept of a deployment's predictions, or change it.

    The rules for an input are those of `perenne data mask`: hash, mask, truncate:N, round:N, day, month, year, network, drop.
    Hashes are keyed by the installation, as in masked data, so that both can be joined.

    \b
    Examples:
      perenne deploy log churn
      perenne deploy log churn --sample 10 --redact mail=hash --redact notes=drop
      perenne deploy log churn --keep 30d --ecs
      perenne deploy log churn --cloudevents https://events.example.org/ --mode structured
    """
    given = {
        "sample": None if sample is None else sample / 100,
        "redact": () if no_redact else redact or None,
        "keep": None if keep is None else 0 if keep == "0" else parse_duration(keep),
        "ecs": ecs,
        "elasticsearch": elasticsearch,
        "cloudevents_url": cloudevents,
        "cloudevents_mode": mode,
    }
    changes = {rule: value for rule, value in given.items() if value is not None}
    if not changes:
        with workspace.database.read() as tx:
            return _shown(service.get_deployment(tx, name).log)
    deployment = workspace.database.write(
        lambda tx: change_log(tx, local_principal(), name, changes, releases=workspace.settings.releases, reason=reason)
    )
    release(workspace, deployment)
    return _shown(deployment.log)


def _shown(rules: LogRules) -> dict[str, Any]:
    shown: dict[str, Any] = to_builtins(rules)
    return shown | {"sample": f"{100 * rules.sample:g} %", "keep": format_duration(rules.keep) if rules.keep else "for good"}
