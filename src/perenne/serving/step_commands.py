"""The verbs of `perenne deploy` that change step by step who answers whom: `perenne.cli.deploy` puts them together."""

import math
from typing import Any

import click
from msgspec.structs import replace

from perenne.auth.principals import local_principal
from perenne.core.clock import parse_duration
from perenne.serving import rollouts, service, steps
from perenne.serving.applying import change, constant_of, prepare
from perenne.serving.model import Bandit, BanditRule, Deployment, Route, Sticky, Weighted
from perenne.storage.workspace import Workspace

_why = click.option("--reason", default="", help="Why; kept in the audit trail.")
_needs_why = click.option("--reason", required=True, help="Why; kept in the audit trail.")
_generation = click.option("--generation", type=int, help="Only if the deployment still has this generation.")


class _ShareType(click.ParamType[float]):
    """A share, as 0.1 or 10%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share: write 0.1 or 10%", param, ctx)
        return share


SHARE = _ShareType()


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--weight", type=SHARE, help="The share of callers: 0.1 or 10%.")
@click.option("--remove", is_flag=True, help="Take it out; the champion gets its callers.")
@_why
@_generation
@click.pass_obj
def canary(
    workspace: Workspace, name: str, version: str, weight: float | None, remove: bool, reason: str, generation: int | None
) -> Deployment:
    """Let a version answer a share of the callers. Called again, the share changes.

    \b
    Examples:
      perenne deploy canary churn churn@4 --weight 10%
      perenne deploy canary churn churn@4 --weight 50% --reason "a quiet day"
      perenne deploy canary churn churn@4 --remove
    """
    if remove == (weight is not None):
        raise click.UsageError("give --weight, or --remove")
    if weight is None:
        return change(
            workspace,
            lambda tx: steps.remove_canary(tx, local_principal(), name, version, reason=reason, generation=generation),
        )
    prepare(workspace, version, reason=reason)
    return change(
        workspace,
        lambda tx: steps.set_canary(tx, local_principal(), name, version, weight, reason=reason, generation=generation),
    )


@click.command()
@click.argument("name")
@click.argument("weights", nargs=-1, required=True, metavar="VERSION=SHARE...")
@_why
@_generation
@click.pass_obj
def split(workspace: Workspace, name: str, weights: tuple[str, ...], reason: str, generation: int | None) -> Deployment:
    """Give several versions their shares of the callers at once; the champion has what is left.

    \b
    Examples:
      perenne deploy split churn churn@4=50%
      perenne deploy split churn churn@4=20% churn@5=20% --reason "three against each other"
    """
    given: dict[str, float] = {}
    for text in weights:
        version, equals, share = text.partition("=")
        if not equals or version in given:
            raise click.UsageError(f"{text!r}: write each version once, as churn@4=10%")
        given[version] = SHARE.convert(share, None, None)
    return change(workspace, lambda tx: steps.split(tx, local_principal(), name, given, reason=reason, generation=generation))


@click.command()
@click.argument("name")
@click.option("--by-chance", is_flag=True, help="Each request by the weights.")
@click.option("--header", default="", help="Callers stay with their variant, by a key in this header.")
@click.option("--field", default="", help="The same, by a key in this input.")
@click.option("--salt", default="", help="Another salt gives every caller another place.")
@click.option("--bandit", type=click.Choice([rule.value for rule in BanditRule]), help="To the variant that earns most.")
@click.option(
    "--reward",
    type=click.Choice(["correct", "label"]),
    default="correct",
    show_default=True,
    help="What a bandit earns: a right answer, or the label itself.",
)
@click.option("--epsilon", type=SHARE, default=0.1, show_default=True, help="The share that tries all alike.")
@_why
@_generation
@click.pass_obj
def route(
    workspace: Workspace,
    name: str,
    by_chance: bool,
    header: str,
    field: str,
    salt: str,
    bandit: str | None,
    reward: str,
    epsilon: float,
    reason: str,
    generation: int | None,
) -> Deployment:
    """Say how callers are split: by chance, by a key of theirs, or by what earns most.

    \b
    Examples:
      perenne deploy route churn --header x-user-id
      perenne deploy route churn --bandit thompson --reward correct
      perenne deploy route churn --by-chance
    """
    if sum((by_chance, bool(header or field), bandit is not None)) != 1:
        raise click.UsageError("give one of --by-chance, --header, --field and --bandit")
    found: Route = Weighted()
    if bandit is not None:
        found = Bandit(BanditRule(bandit), reward, epsilon)
    elif not by_chance:
        found = Sticky(header, field, salt)
    return change(workspace, lambda tx: steps.set_route(tx, local_principal(), name, found, reason=reason, generation=generation))


@click.command()
@click.argument("name")
@click.option("--automatic/--by-hand", default=None, help="Whether versions are taken back by themselves.")
@click.option("--error-rate", type=SHARE, help="Most requests that may fail or be too late.")
@click.option("--p99-ms", type=click.FloatRange(0), help="Milliseconds that all but one of a hundred may take; 0 for none.")
@click.option("--slower", type=click.FloatRange(0), help="How many times the champion's p99; 0 for no such limit.")
@click.option("--min-requests", type=click.IntRange(1), help="From how many requests on.")
@click.option("--agreement", type=SHARE, help="Least agreement with the champion; 0 for no such limit.")
@click.option("--min-rows", type=click.IntRange(1), help="From how many compared rows on.")
@click.option("--metric-alpha", type=SHARE, help="Chance of taking back by labels what is no worse; 0 to leave labels out.")
@click.option("--window", help="Over what time requests are counted: 5m.")
@click.option("--watch", help="How long a new champion is watched: 1h.")
@_why
@_generation
@click.pass_obj
def rules(workspace: Workspace, /, name: str, reason: str, generation: int | None, **given: Any) -> Any:
    """Show when a version is taken back by itself, or change it.

    \b
    Examples:
      perenne deploy rules churn
      perenne deploy rules churn --error-rate 1% --p99-ms 40
      perenne deploy rules churn --by-hand --reason "a load test"
    """
    wanted = {key: value for key, value in given.items() if value is not None}
    wanted |= {key: parse_duration(wanted[key]) for key in ("window", "watch") if key in wanted}
    with workspace.database.read() as tx:
        present = service.get_deployment(tx, name)
    if not wanted:
        return {"deployment": name, "rules": rollouts.rules_line(present.rollback), "route": rollouts.route_line(present.route)}
    after = replace(present.rollback, **wanted)
    expected = present.generation if generation is None else generation
    return change(workspace, lambda tx: steps.set_rules(tx, local_principal(), name, after, reason=reason, generation=expected))


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--timeout-ms", type=click.IntRange(0), help="How long it may take before another one answers; 0 for no limit.")
@click.option("--mirror", type=SHARE, help="The share of the champion's requests it answers unseen.")
@_why
@_generation
@click.pass_obj
def variant(
    workspace: Workspace,
    name: str,
    version: str,
    timeout_ms: int | None,
    mirror: float | None,
    reason: str,
    generation: int | None,
) -> Deployment:
    """Give a variant another time-out, or another share of requests to answer unseen.

    \b
    Examples:
      perenne deploy variant churn churn@4 --timeout-ms 50
      perenne deploy variant churn churn@5 --mirror 25%
    """
    if (timeout_ms is None) == (mirror is None):
        raise click.UsageError("give --timeout-ms, or --mirror")
    if timeout_ms is not None:
        return change(
            workspace,
            lambda tx: steps.set_timeout(tx, local_principal(), name, version, timeout_ms, reason=reason, generation=generation),
        )
    share = mirror or 0.0
    return change(
        workspace, lambda tx: steps.set_mirror(tx, local_principal(), name, version, share, reason=reason, generation=generation)
    )


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--remove", is_flag=True, help="The previous version stands in again.")
@_why
@_generation
@click.pass_obj
def fallback(
    workspace: Workspace, name: str, version: str | None, remove: bool, reason: str, generation: int | None
) -> Deployment:
    """Name the version that answers where another one fails or is too late.

    \b
    Examples:
      perenne deploy fallback churn churn@1
      perenne deploy fallback churn --remove
    """
    if remove == (version is not None):
        raise click.UsageError("give a version, or --remove")
    return change(
        workspace, lambda tx: steps.set_fallback(tx, local_principal(), name, version, reason=reason, generation=generation)
    )


@click.command()
@click.argument("name")
@click.option("--share", type=SHARE, help="The share of callers: 0.02 or 2%.")
@click.option("--answer", help="The constant they get, as JSON; without it the previous version answers them.")
@click.option("--remove", is_flag=True, help="The model answers everybody again.")
@_why
@_generation
@click.pass_obj
def holdout(
    workspace: Workspace, name: str, share: float | None, answer: str | None, remove: bool, reason: str, generation: int | None
) -> Deployment:
    """Answer a share of the callers without the model, so that what it does to them can be seen by the difference.

    \b
    Examples:
      perenne deploy holdout churn --share 2% --answer '"no"'
      perenne deploy holdout churn --share 2%
      perenne deploy holdout churn --remove
    """
    if remove == (share is not None):
        raise click.UsageError("give --share, or --remove")
    constant = constant_of(answer)
    return change(
        workspace,
        lambda tx: steps.set_holdout(
            tx, local_principal(), name, share or 0.0, answer=constant, reason=reason, generation=generation
        ),
    )


@click.command()
@click.argument("name")
@click.argument("version")
@_needs_why
@_generation
@click.pass_obj
def park(workspace: Workspace, name: str, version: str, reason: str, generation: int | None) -> Deployment:
    """Ask a challenger or canary no more; the champion gets its callers.

    \b
    Examples:
      perenne deploy park churn churn@4 --reason "odd answers"
    """
    return change(workspace, lambda tx: steps.park(tx, local_principal(), name, version, reason=reason, generation=generation))


@click.command()
@click.argument("name")
@click.argument("version")
@_why
@_generation
@click.pass_obj
def unpark(workspace: Workspace, name: str, version: str, reason: str, generation: int | None) -> Deployment:
    """Ask a challenger again that was parked; a canary comes back with a weight.

    \b
    Examples:
      perenne deploy unpark churn churn@5
    """
    return change(workspace, lambda tx: steps.unpark(tx, local_principal(), name, version, reason=reason, generation=generation))


@click.command()
@click.argument("name")
@_needs_why
@_generation
@click.pass_obj
def undo(workspace: Workspace, name: str, reason: str, generation: int | None) -> Deployment:
    """Return to what the deployment was before its last change.

    \b
    Examples:
      perenne deploy undo churn --reason "the wrong weight"
    """
    return change(workspace, lambda tx: steps.undo(tx, local_principal(), name, reason=reason, generation=generation))
