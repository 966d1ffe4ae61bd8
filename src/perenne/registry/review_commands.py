"""`perenne review open|list|show|approve|reject|withdraw|comment|policies|policy`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne.auth import comments
from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.registry import policies, review_store, reviews
from perenne.registry.model import Gate, GateState, MetricBound, ReviewPolicy
from perenne.registry.review_store import Review, ReviewState
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

REASON = click.option("--reason", default="", help="Why; kept in the audit trail.")


class ReviewView(msgspec.Struct, frozen=True):
    """A review, what the gate of its place says now, and what was said, newest first."""

    review: Review
    gate: Gate
    comments: tuple[comments.Comment, ...]


@click.group()
def review() -> None:
    """Who must look at versions before they take an alias or a stage, and what they said."""


@review.command("open")
@click.argument("version")
@click.option(
    "--for", "target", default="champion", show_default=True, help="The alias or stage: champion, alias:live, Production."
)
@REASON
@click.pass_obj
def open_(workspace: Workspace, version: str, target: str, reason: str) -> Review:
    """Ask that a version may take an alias or a stage.

    \b
    Examples:
      perenne review open churn@3
      perenne review open fraud@7 --for Production --reason "a month in staging"
    """
    place = reviews.target_of(target)
    return workspace.database.write(lambda tx: reviews.open_review(tx, local_principal(), version, place, reason=reason))


@review.command("list")
@click.option("--model", default="", help="Of this model only.")
@click.option("--state", type=click.Choice([state.value for state in ReviewState]), help="In this state only.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="At most this many, newest first.")
@click.option("--before", default="", metavar="REVIEW", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, model: str, state: str | None, limit: int, before: str) -> list[dict[str, Any]]:
    """List reviews, newest first.

    \b
    Examples:
      perenne review list --state open
      perenne review list --model churn
    """
    wanted = ReviewState(state) if state else None
    with workspace.database.read() as tx:
        found = reviews.listed(tx, local_principal(), model=model, state=wanted, before=before, limit=limit)
    return [
        {
            "review": item.id,
            "version": item.version,
            "for": str(item.target),
            "state": item.state.value,
            "opened": format_time(item.opened),
            "by": item.opened_by,
            "reason": item.reason,
        }
        for item in found
    ]


@review.command()
@click.argument("review")
@click.pass_obj
def show(workspace: Workspace, review: str) -> Result:
    """Show a review: what its gate says, and what was said. Exits with 6 if the gate is closed.

    \b
    Examples:
      perenne review show 01M8GQ0000000000000000000
    """
    with workspace.database.read() as tx:
        found = reviews.get(tx, local_principal(), review)
        view = ReviewView(found, reviews.gate_of(tx, found), tuple(comments.of(tx, "review", review)))
    return Result(view, EXIT_FINDINGS if view.gate.state is GateState.CLOSED else 0)


@review.command()
@click.argument("review")
@REASON
@click.pass_obj
def approve(workspace: Workspace, review: str, reason: str) -> Review:
    """Say yes in a review.

    \b
    Examples:
      perenne review approve 01M8GQ0000000000000000000 --reason "figures checked"
    """
    return workspace.database.write(lambda tx: reviews.decide(tx, local_principal(), review, approve=True, reason=reason))


@review.command()
@click.argument("review")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def reject(workspace: Workspace, review: str, reason: str) -> Review:
    """Say no in a review, which rejects the version.

    \b
    Examples:
      perenne review reject 01M8GQ0000000000000000000 --reason "worse for the young"
    """
    return workspace.database.write(lambda tx: reviews.decide(tx, local_principal(), review, approve=False, reason=reason))


@review.command()
@click.argument("review")
@REASON
@click.pass_obj
def withdraw(workspace: Workspace, review: str, reason: str) -> Review:
    """Ask no longer.

    \b
    Examples:
      perenne review withdraw 01M8GQ0000000000000000000
    """
    return workspace.database.write(lambda tx: reviews.withdraw(tx, local_principal(), review, reason=reason))


@review.command()
@click.argument("review")
@click.argument("text")
@click.pass_obj
def comment(workspace: Workspace, review: str, text: str) -> comments.Comment:
    """Say something in a review.

    \b
    Examples:
      perenne review comment 01M8GQ0000000000000000000 "who has seen the data?"
    """

    def say(tx: Transaction) -> comments.Comment:
        found = reviews.get(tx, local_principal(), review)
        return comments.add(tx, local_principal(), "review", found.id, text, project=found.project)

    return workspace.database.write(say)


@review.command("policies")
@click.pass_obj
def policies_(workspace: Workspace) -> list[dict[str, Any]]:
    """List the review policies: what versions need, for which aliases and stages of which models.

    \b
    Examples:
      perenne review policies
      perenne review policies --json
    """
    with workspace.database.read() as tx:
        return [_row(kept) for kept in policies.stated(tx)]


def _row(kept: review_store.KeptPolicy) -> dict[str, Any]:
    policy = kept.policy
    needs = [*policy.checks, *map(str, policy.metrics), *(["objectives met"] if policy.objectives else [])]
    if policy.approvals:
        needs.append(f"{policy.approvals} × {' or '.join(policy.approvers) or 'an approver'}")
    return {
        "policy": policy.name,
        "models": " ".join(policy.models),
        "guards": " ".join((*policy.aliases, *policy.stages)),
        "needs": "; ".join(needs),
        "changed": format_time(kept.changed),
        "by": kept.changed_by,
    }


@review.group()
def policy() -> None:
    """State and remove review policies."""


@policy.command("set")
@click.argument("name")
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read it from this file of JSON."
)
@click.option("--model", "models", multiple=True, help="Pattern of model names, such as fraud-*; all if not given.")
@click.option("--alias", "aliases", multiple=True, help="An alias it guards, or a pattern of aliases.")
@click.option("--stage", "stages", multiple=True, help="A stage it guards: Staging, Production or Archived.")
@click.option("--check", "checks", multiple=True, help='Evidence that must pass, such as "bias: *".')
@click.option("--metric", "metrics", multiple=True, metavar="BOUND", help="What its run must reach: auc>=0.8, latency_ms<=10.")
@click.option("--objectives", is_flag=True, help="Every objective and guardrail must be met.")
@click.option("--approvals", type=click.IntRange(0, 20), default=0, help="How many people must approve.")
@click.option("--by", "approvers", multiple=True, metavar="ROLE", help="Roles or names, one of which each of them has.")
@click.option("--own", is_flag=True, help="Let those who made a version approve it too.")
@click.option("--outside", is_flag=True, help="Let versions pass whose files lie elsewhere.")
@click.pass_obj
def set_(
    workspace: Workspace, /, name: str, path: Path | None, metrics: tuple[str, ...], models: tuple[str, ...], **said: Any
) -> ReviewPolicy:
    """State a review policy, in place of the one of its name.

    \b
    Examples:
      perenne review policy set prod --alias champion --objectives --approvals 2 --by validator
      perenne review policy set credit --model "credit-*" --alias live --metric "auc>=0.8"
      perenne review policy set prod --file prod.json
    """
    if path is not None:
        stated = json.decode(path.read_bytes(), ReviewPolicy, what=path.name)
        if stated.name != name:
            raise Invalid(
                f"{path.name} states {stated.name[:100]!r}, not {name[:100]!r}", code="policy.name", hint="name it alike"
            )
    else:
        bounds = tuple(_bound(text) for text in metrics)
        stated = ReviewPolicy(name=name, models=models or ("*",), metrics=bounds, **said)
    return workspace.database.write(lambda tx: policies.state(tx, local_principal(), stated))


def _bound(text: str) -> MetricBound:
    """Read a bound such as `auc>=0.8`."""
    for sign, side in ((">=", "at_least"), ("<=", "at_most")):
        name, found, limit = text.partition(sign)
        if found:
            try:
                return MetricBound(name.strip(), **{side: float(limit)})
            except ValueError:
                break
    raise Invalid(f"{text[:100]!r} is no bound of a metric", code="policy.metric", hint="write auc>=0.8, or latency_ms<=10")


@policy.command()
@click.argument("name")
@REASON
@click.pass_obj
def remove(workspace: Workspace, name: str, reason: str) -> dict[str, str]:
    """Remove a review policy.

    \b
    Examples:
      perenne review policy remove prod --reason "the project has its own"
    """
    workspace.database.write(lambda tx: policies.remove(tx, local_principal(), name, reason=reason))
    return {"removed": name}
