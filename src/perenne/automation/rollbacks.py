"""Taking versions back that failed: what model servers found is heard and decided here, each in one transaction.

A server has taken the version out of its own rotation by then. A canary or challenger is parked; a champion that is new goes back
to the version before, with alias and episode if it came from the loop. Hearing a verdict twice changes nothing: whoever is killed
between the decision and the release folder, or before the verdict is removed, leaves nothing half-done.
"""

import logging

from perenne import monitoring, serving
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role as Right
from perenne.automation import advancing
from perenne.automation.episodes import open_episode_of
from perenne.automation.model import EpisodeState
from perenne.core.errors import Conflict, NotFound
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.loop")


def hear_verdicts(workspace: Workspace) -> int:
    """Hear every verdict in the spool; return how many versions were taken back."""
    taken = 0
    for path, verdict in serving.service.verdicts.read_verdicts(workspace.settings.spool):
        now = workspace.clock.now()
        taken += workspace.database.write(lambda tx, verdict=verdict, now=now: take_back(tx, verdict, now))  # type: ignore[misc]
        serving.service.verdicts.forget(path)
    return taken


def take_back(tx: Transaction, verdict: "serving.service.verdicts.Verdict", now: int) -> bool:
    """Take a version back that failed; False if nothing is left to do."""
    name = verdict.deployment
    try:
        deployment = serving.service.get_deployment(tx, name)
    except NotFound:
        return False
    if serving.service.verdicts.still_stands(verdict, deployment) is None:
        return False
    actor = roll_back_principal(name)
    if verdict.role != "champion":
        serving.service.steps.park(tx, actor, name, verdict.version, reason=verdict.reason)
        return True
    if roll_back_soaking(tx, name, verdict.version, verdict.reason, now):
        return True
    try:
        serving.service.roll_back(tx, actor, name, reason=verdict.reason)
    except Conflict as error:  # there is nobody to go back to, or its gate is closed
        log.error("%s fails in %s and stays: %s", verdict.version, name, error.message)
        return False
    return True


def roll_back_soaking(tx: Transaction, deployment: str, version: str, reason: str, now: int) -> bool:
    """Roll back a version that soaks, with its alias and its episode; False if none does."""
    episode = open_episode_of(tx, deployment)
    if episode is None or episode.state is not EpisodeState.SOAKING or episode.challenger != version:
        return False
    advancing.roll_back(advancing.step_of(tx, episode.id, now), reason)
    return True


def missed_before(tx: Transaction, deployment: str, alert: str) -> bool:
    """Tell whether the champion that an open episode replaced missed what an alert is about, when it was replaced."""
    episode = open_episode_of(tx, deployment)
    found = next(iter(monitoring.summary.alerts_of(tx, [alert])), None)
    if episode is None or found is None:
        return False
    return monitoring.summary.fired_at(tx, deployment, episode.champion, found.rule, episode.entered)


def roll_back_principal(deployment: str) -> Principal:
    """Return who takes versions back: the deployment's own rules."""
    return Principal(f"rollback:{deployment}", PrincipalKind.SYSTEM, frozenset({Right.DEPLOYER}))
