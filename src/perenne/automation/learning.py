"""What rollouts learn from labels: a bandit's shares go to the workers, and a canary that is worse is parked.

Both look whenever they are asked to: the tests stay valid however often that is.
"""

import math

from perenne import monitoring, serving
from perenne.automation.rollbacks import roll_back_principal
from perenne.core.errors import PerenneError
from perenne.serving import Deployment
from perenne.stats.bandits import Rewards, epsilon_shares, thompson_shares
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def learn(workspace: Workspace) -> int:
    """Bring every bandit's shares up to what came in; return how many changed."""
    with workspace.database.read() as tx:
        asked = serving.service.in_rollout(tx, bandits=True)
        found = [(item, shares_of(tx, workspace, item)) for item in asked]
    changed = 0
    for deployment, shares in found:
        folder = workspace.settings.releases / deployment.name
        before = serving.service.shares.read_shares(folder)
        same = before is not None and (before.route, before.shares) == (shares.route, shares.shares)
        if not same and folder.is_dir():
            serving.service.shares.write_shares(folder, shares)
            changed += 1
    return changed


def shares_of(tx: Transaction, workspace: Workspace, deployment: Deployment) -> "serving.service.shares.Shares":
    """Find what share of the callers each version is to get, by what is known of their rewards."""
    route = deployment.route
    assert isinstance(route, serving.Bandit)
    earned = monitoring.tallies.earned(tx, workspace.objects, deployment.name, route.reward)
    versions = [variant.version for variant in (deployment.champion, *deployment.canaries) if not variant.parked]
    arms = [earned[version].rewards if version in earned else Rewards() for version in versions]
    rule = thompson_shares if route.rule == "thompson" else epsilon_shares
    return serving.service.shares.Shares(
        route=route,
        shares=dict(zip(versions, rule(arms, route.epsilon), strict=True)),
        posterior={
            version: serving.service.shares.Posterior(arm.count, arm.mean, arm.deviation)
            for version, arm in zip(versions, arms, strict=True)
        },
        time=workspace.clock.now(),
    )


def judge_canaries(workspace: Workspace) -> int:
    """Park every canary that labels show to be worse than the champion; return how many."""
    with workspace.database.read() as tx:
        found = [(item, version, why) for item in serving.service.in_rollout(tx) for version, why in worse(tx, workspace, item)]
    for deployment, version, why in found:
        actor, name, generation = roll_back_principal(deployment.name), deployment.name, deployment.generation

        def park(tx: Transaction, actor=actor, name=name, version=version, why=why, generation=generation) -> Deployment:  # type: ignore[no-untyped-def]
            return serving.service.steps.park(tx, actor, name, version, reason=why, generation=generation)

        try:
            workspace.database.write(park)
        except PerenneError:  # it changed meanwhile: the next look sees what it is now
            continue
    return len(found)


def worse(tx: Transaction, workspace: Workspace, deployment: Deployment) -> list[tuple[str, str]]:
    """Name the canaries that labels show to be worse, and how."""
    rules, champion = deployment.rollback, deployment.champion.version
    if not (rules.automatic and rules.metric_alpha):
        return []
    found = []
    earned = monitoring.tallies.earned(tx, workspace.objects, deployment.name, "correct")
    for variant in deployment.canaries:
        if variant.parked:
            continue
        both = monitoring.tallies.paired(tx, workspace.objects, deployment.name, champion, variant.version)
        apart = monitoring.tallies.difference(earned, champion, variant.version, rules.metric_alpha)
        if both.log_evidence >= -math.log(rules.metric_alpha):
            why = (
                f"worse by labels: alone right on {both.wins:,} of {both.rows:,} same rows, the champion alone on {both.losses:,}"
            )
            found.append((variant.version, why))
        elif apart is not None and min(earned[v].rewards.count for v in (champion, variant.version)) >= 100 and apart.high < 0:
            why = (
                f"worse by labels: right on {-apart.value:.1%} less of its callers than the champion, at least {-apart.high:.1%}"
            )
            found.append((variant.version, why))
    return found
