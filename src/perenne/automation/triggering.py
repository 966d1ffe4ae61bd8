"""Opening an episode because a person asked."""

from perenne import registry
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.automation import episodes
from perenne.automation.model import Episode
from perenne.core.errors import Conflict, Invalid
from perenne.projects import Manual, get_project
from perenne.storage.database import Transaction


def trigger_by_hand(tx: Transaction, actor: Principal, project: str, reason: str, now: int) -> Episode:
    """Open an episode because a person asked.

    Raises
    ------
    NotFound, Denied, Invalid
        If there is no such project, it is not theirs to edit, or no reason is given.
    Conflict
        If there is no champion to challenge, an episode is open already, or the policy rests.
    """
    record = get_project(tx, project)
    require(actor, Action.EDIT_PROJECT, project)
    if not reason.strip():
        raise Invalid("retraining by hand needs a reason", code="policy.reason", hint="say why: --reason '…'")
    champion = registry.placing.aliased(tx, project, "champion")
    if record.policy is None or champion is None:
        lacking = "policy" if record.policy is None else "champion"
        raise Conflict(f"{project} has no {lacking}", code="policy.missing", hint="`perenne status` shows what is there")
    opened = episodes.open_episode(
        tx,
        actor,
        project,
        record.policy,
        Manual(reason),
        f"by hand: {reason}",
        champion=champion.id,
        now=now,
        source=record.source,
    )
    if opened is None:
        raise Conflict(
            f"{project} has an open episode, rests, or is paused", code="policy.busy", hint=f"`perenne policy episodes {project}`"
        )
    return opened
