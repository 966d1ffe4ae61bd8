"""`perenne policy list|episodes|show|trigger`."""

from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.automation import episodes
from perenne.automation.model import Episode, Step
from perenne.automation.triggering import trigger_by_hand
from perenne.core.clock import format_duration, format_time
from perenne.projects import list_projects, project_names
from perenne.storage.workspace import Workspace


class EpisodeView(msgspec.Struct, frozen=True):
    """An episode with its history, oldest transition first."""

    episode: Episode
    history: tuple[Step, ...]


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, by project.")
@click.option("--after", default="", metavar="PROJECT", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[dict[str, Any]]:
    """List the retraining policies.

    \b
    Examples:
      perenne policy list
    """
    with workspace.database.read() as tx:
        return [
            {
                "project": record.name,
                "on": ", ".join(_trigger_name(trigger) for trigger in record.policy.on),
                "alpha": record.policy.promote.alpha,
                "approve_by": record.policy.approve_by,
                "cooldown": format_duration(record.policy.cooldown),
            }
            for record in list_projects(tx, project_names(tx, after=after, limit=limit, with_policy=True))
            if record.policy is not None
        ]


def _trigger_name(trigger: msgspec.Struct) -> str:
    body = msgspec.to_builtins(trigger)
    kind = body.pop("type")
    return f"{kind}({', '.join(str(value) for value in body.values())})"


@click.command("episodes")
@click.argument("project", required=False)
@click.option("--limit", default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_episodes(workspace: Workspace, project: str | None, limit: int) -> list[dict[str, Any]]:
    """List episodes, newest first.

    \b
    Examples:
      perenne policy episodes
      perenne policy episodes churn
    """
    with workspace.database.read() as tx:
        return [
            {
                "episode": item.id,
                "project": item.project,
                "state": item.state.value,
                "opened": format_time(item.opened),
                "champion": item.champion,
                "challenger": item.challenger,
                "note": item.note,
            }
            for item in episodes.list_episodes(tx, project, limit=limit)
        ]


@click.command()
@click.argument("episode")
@click.pass_obj
def show(workspace: Workspace, episode: str) -> EpisodeView:
    """Show an episode with every transition and its reason.

    \b
    Examples:
      perenne policy show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        return EpisodeView(episodes.get_episode(tx, episode), tuple(episodes.history(tx, episode)))


@click.command()
@click.argument("project")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def trigger(workspace: Workspace, project: str, reason: str) -> Episode:
    """Open a retraining episode by hand; `perenne up` does the rest.

    \b
    Examples:
      perenne policy trigger churn --reason "new prices since Monday"
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: trigger_by_hand(tx, local_principal(), project, reason, now))
