"""Holdouts: who is answered without the model is drawn by chance, sees no model, and is logged with the chance it had."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.packages import ReleaseFolder
from tests.serving.test_canaries import ask
from tests.serving.test_deployments import change, register
from tests.serving.test_steps import step
from tests.serving.worker import Worker, with_worker

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid
from perenne.serving import rollouts
from perenne.serving.model import Bandit, Deployment, Role, Route, Sticky, Weighted
from perenne.serving.routing import Chooser, held_out_slots, slots_of
from perenne.storage.database import Database


def deployment(release: ReleaseFolder, packages: dict[str, Path], route: Route | None = None, **values: Any) -> Deployment:
    variants = release.add(packages["first"], 2), release.add(packages["second"], 1, Role.PREVIOUS)
    return Deployment(name="delays", project="flights", generation=1, variants=variants, route=route or Weighted(), **values)


def answer_of(reply: httpx.Response) -> Any:
    return next(output["data"] for output in reply.json()["outputs"] if output["name"] == "prediction")


@pytest.mark.parametrize("constant", ["on time", None])
def test_callers_who_are_held_out_get_another_answer_and_the_log_says_with_what_chance(
    packages: dict[str, Path], release: ReleaseFolder, constant: str | None
) -> None:
    release.publish(rollouts.held_out(deployment(release, packages, Sticky(header="x-user")), 0.3, constant))

    async def work(worker: Worker) -> tuple[list[httpx.Response], list[Any]]:
        return list(await asyncio.gather(*(ask(worker, x_user=f"user-{i % 40}") for i in range(80)))), worker.observed()

    replies, rows = with_worker(release.folder, work)
    seen = Counter(reply.headers["x-variant"] for reply in replies)
    assert set(seen) == {"champion", "holdout"} and seen["holdout"] % 2 == 0, "a caller stays where it is"
    held = [reply for reply in replies if reply.headers["x-variant"] == "holdout"]
    if constant:
        assert {tuple(answer_of(reply)) for reply in held} == {("on time",)}
    else:
        assert {reply.headers["x-model-version"] for reply in held} == {"1"}
    assert {(row.role, row.reason, round(row.propensity, 3), row.status) for row in rows} == {
        ("champion", "sticky", 0.7, 200),
        ("holdout", "sticky", 0.3, 200),
    }
    assert {row.answer for row in rows if row.role == "holdout"} == {constant}


def test_a_larger_share_keeps_who_was_held_out_and_takes_from_everybody_alike(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    assert set(slots_of(held_out_slots("delays", 0.02))) < set(slots_of(held_out_slots("delays", 0.05)))
    canary = release.add(packages["multiclass"], 3, Role.CANARY)
    made = rollouts.held_out(rollouts.canaried(deployment(release, packages), canary, 0.5), 0.2, "on time")
    shares = Chooser(made).shares
    assert shares[2] == 0.2 and sum(shares) == pytest.approx(1) and abs(shares[0] - shares[1]) < 0.06
    bandit = Chooser(rollouts.routed(made, Bandit()), shares={"late@2": 0.9, "late@3": 0.1})
    assert bandit.shares == pytest.approx((0.72, 0.08, 0.2))
    assert Counter(bandit.choose([], {}).place for _ in range(400))[2] > 20


def test_what_cannot_be_held_out_is_refused_and_each_change_is_kept(database: Database, actor: Principal) -> None:
    first = register(database, actor, "a")
    change(database, actor, "deploy", first)
    for share in (-0.1, 0.6, 0.0001, float("nan")):
        with pytest.raises(Invalid):
            step(database, actor, "set_holdout", share, answer="no")
    with pytest.raises(Conflict):
        step(database, actor, "set_holdout", 0.02)
    made = step(database, actor, "set_holdout", 0.02, answer="no", reason="what does it do?")
    assert made.holdout is not None and (made.holdout.share, made.holdout.answer) == (0.02, "no")
    assert len(slots_of(made.holdout.slots)) == 20
    assert step(database, actor, "set_holdout", 0.0).holdout is None
    with database.read() as tx:
        actions = [row.action for row in audit.trail(tx, entity="deployment", entity_id="delays")]
    assert actions.count("deployment.holdout_set") == 2
