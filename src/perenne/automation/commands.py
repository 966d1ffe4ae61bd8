"""`perenne policy list|show|episodes|trigger|pause|resume|approve|reject|cancel`."""

from typing import Any

import click
import msgspec

from perenne import projects
from perenne.auth.principals import local_principal
from perenne.automation import episodes, handling, store
from perenne.automation.model import Episode, Hold, Step, TriggerLine
from perenne.automation.triggering import trigger_by_hand
from perenne.core.clock import format_duration, format_time
from perenne.core.errors import NotFound
from perenne.projects import get_project, list_projects, project_names
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

SHOWN_EPISODES = 10
REASON = click.option("--reason", required=True, help="Why; kept in the audit trail.")


class EpisodeView(msgspec.Struct, frozen=True):
    """An episode with what spoke for it, and its history: oldest transition first, each with the figures that decided."""

    episode: Episode
    triggers: tuple[TriggerLine, ...]
    history: tuple[Step, ...]


class PolicyView(msgspec.Struct, frozen=True):
    """A project's policy in words, who paused it if somebody did, and its newest episodes."""

    project: str
    says: tuple[str, ...]
    paused: Hold | None
    rests_until: str
    episodes: tuple[dict[str, Any], ...]


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
        held = store.holds(tx)
        return [
            {
                "project": record.name,
                "on": ", ".join(_trigger_name(trigger) for trigger in record.policy.on),
                "promote": record.policy.promote.mode.value,
                "alpha": record.policy.promote.alpha,
                "approve_by": record.policy.approve_by,
                "cooldown": format_duration(record.policy.cooldown),
                "paused": f"{held[record.name].by}: {held[record.name].reason}" if record.name in held else "",
            }
            for record in list_projects(tx, project_names(tx, after=after, limit=limit, with_policy=True))
            if record.policy is not None
        ]


def _trigger_name(trigger: msgspec.Struct) -> str:
    body = msgspec.to_builtins(trigger)
    kind, parts = body.pop("type"), body.pop("triggers", ())
    inner = [_trigger_name(part) for part in getattr(trigger, "triggers", ())] if parts else []
    return f"{kind}({', '.join([*inner, *(str(value) for value in body.values())])})"


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
        return [_line(item) for item in episodes.list_episodes(tx, project, limit=limit)]


def _line(item: Episode) -> dict[str, Any]:
    return {
        "episode": item.id,
        "project": item.project,
        "state": item.state.value,
        "opened": format_time(item.opened),
        "champion": item.champion,
        "challenger": item.challenger,
        "note": item.note,
    }


@click.command()
@click.argument("name", metavar="EPISODE|PROJECT")
@click.pass_obj
def show(workspace: Workspace, name: str) -> EpisodeView | PolicyView:
    """Show an episode with every transition, its reason and its figures; or a project's policy in words.

    \b
    Examples:
      perenne policy show 01M8GQSGBA1NHC8Y45EHH2NB3J
      perenne policy show churn
    """
    with workspace.database.read() as tx:
        try:
            found = episodes.get_episode(tx, name)
        except NotFound:
            return _policy(tx, name)
        triggers = tuple(store.triggers_of(tx, found.id))
        return EpisodeView(found, triggers, tuple(episodes.history(tx, found.id)))


def _policy(tx: Transaction, name: str) -> PolicyView:
    try:
        record = get_project(tx, name)
    except NotFound:
        hint = "`perenne policy list` and `perenne policy episodes` show what there is"
        raise NotFound(f"no episode or project is called {name[:100]!r}", code="policy.not_found", hint=hint) from None
    newest = episodes.list_episodes(tx, name, limit=SHOWN_EPISODES)
    rests = format_time(newest[0].rest_until) if newest and not newest[0].open else ""
    says = projects.wording.policy_words(record.policy) if record.policy else ("It has no policy.",)
    return PolicyView(name, says, store.find_hold(tx, name), rests, tuple(map(_line, newest)))


@click.command()
@click.argument("project")
@REASON
@click.pass_obj
def trigger(workspace: Workspace, project: str, reason: str) -> Episode:
    """Open a retraining episode by hand; `perenne up` does the rest, `perenne policy cancel` takes it back.

    \b
    Examples:
      perenne policy trigger churn --reason "new prices since Monday"
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: trigger_by_hand(tx, local_principal(), project, reason, now))


@click.command()
@click.argument("project")
@REASON
@click.pass_obj
def pause(workspace: Workspace, project: str, reason: str) -> Hold:
    """Have a policy train nothing and promote nobody until it is resumed; what was promoted stays guarded.

    \b
    Examples:
      perenne policy pause churn --reason "the label feed is being moved"
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: handling.pause(tx, local_principal(), project, reason, now))


@click.command()
@click.argument("project")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def resume(workspace: Workspace, project: str, reason: str) -> Hold:
    """Let a paused policy go on.

    \b
    Examples:
      perenne policy resume churn
    """
    return workspace.database.write(lambda tx: handling.resume(tx, local_principal(), project, reason))


@click.command()
@click.argument("episode")
@REASON
@click.pass_obj
def cancel(workspace: Workspace, episode: str, reason: str) -> Episode:
    """End an episode before anybody is promoted; its job is cancelled, its challenger leaves.

    \b
    Examples:
      perenne policy cancel 01M8GQSGBA1NHC8Y45EHH2NB3J --reason "the data is wrong"
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: handling.cancel(tx, local_principal(), episode, reason, now))


@click.command()
@click.argument("episode")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def approve(workspace: Workspace, episode: str, reason: str) -> Episode:
    """Approve the challenger that an episode waits for.

    \b
    Examples:
      perenne policy approve 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    return _decide(workspace, episode, approve=True, reason=reason)


@click.command()
@click.argument("episode")
@REASON
@click.pass_obj
def reject(workspace: Workspace, episode: str, reason: str) -> Episode:
    """Reject the challenger that an episode waits for.

    \b
    Examples:
      perenne policy reject 01M8GQSGBA1NHC8Y45EHH2NB3J --reason "it fails the elderly"
    """
    return _decide(workspace, episode, approve=False, reason=reason)


def _decide(workspace: Workspace, episode: str, *, approve: bool, reason: str) -> Episode:
    return workspace.database.write(lambda tx: handling.decide(tx, local_principal(), episode, approve=approve, reason=reason))
