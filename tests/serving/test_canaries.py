"""Canaries in a worker: who gets whom, what is said and logged of it, and who answers where one fails, is late or hangs."""

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.packages import ReleaseFolder, as_tensors, flights
from tests.serving.worker import Worker, with_worker

from perenne.inference import load
from perenne.serving import rollouts
from perenne.serving.counters import Outcome
from perenne.serving.lineup import Lineup
from perenne.serving.loading import LoadedVersion
from perenne.serving.model import Deployment, Role, Route, Sticky, Variant, Weighted, changed

INFER = "/v2/models/delays/infer"


def deployment(
    release: ReleaseFolder, packages: dict[str, Path], weight: float, route: Route | None = None, **values: Any
) -> Deployment:
    champion = release.add(packages["first"], 1)
    canary = release.add(packages["second"], 2, Role.CANARY)
    made = Deployment(name="delays", project="flights", generation=1, variants=(champion,), route=route or Weighted(), **values)
    return rollouts.canaried(made, canary, weight)


async def ask(worker: Worker, rows: int = 1, path: str = INFER, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await worker.client.post(path, content=json.dumps({"inputs": as_tensors(flights(rows))}), headers=sent)


def canary_of(worker: Worker) -> LoadedVersion:
    return next(iter(worker.runtime.require_lineup().canaries.values()))


def test_callers_are_split_and_each_answer_and_row_says_to_whom_and_by_what_chance(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    release.publish(deployment(release, packages, 0.4, Sticky(header="x-user", salt="s")))
    first, second = load(packages["first"]), load(packages["second"])

    async def work(worker: Worker) -> tuple[list[httpx.Response], list[Any]]:
        replies = await asyncio.gather(*(ask(worker, x_user=f"user-{i % 50}") for i in range(200)))
        return list(replies), worker.observed()

    replies, rows = with_worker(release.folder, work)
    by_user: dict[int, set[str]] = {}
    for i, reply in enumerate(replies):
        by_user.setdefault(i % 50, set()).add(reply.headers["x-variant"])
        version, variant = reply.headers["x-model-version"], reply.headers["x-variant"]
        assert (version, variant) in (("1", "champion"), ("2", "canary-late@2"))
        assert reply.json()["parameters"] == {"variant": variant} and reply.json()["model_version"] == version
        model = first if version == "1" else second
        answer = next(output["data"] for output in reply.json()["outputs"] if output["name"] == "prediction")
        assert answer == model.labels(model.predict(flights(1)))
    assert all(len(seen) == 1 for seen in by_user.values()) and {next(iter(seen)) for seen in by_user.values()} == {
        "champion",
        "canary-late@2",
    }
    assert {(row.role, row.variant, row.reason, round(row.propensity, 3)) for row in rows} == {
        ("champion", "champion", "sticky", 0.6),
        ("canary", "canary-late@2", "sticky", 0.4),
    }
    assert len({row.sticky_hash for row in rows}) == 50


def test_by_weight_each_request_goes_by_chance_and_a_share_of_nothing_gets_nothing(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    made = deployment(release, packages, 0.5)

    async def work(worker: Worker) -> Counter[str]:
        return Counter([reply.headers["x-variant"] for reply in await asyncio.gather(*(ask(worker) for _ in range(100)))])

    release.publish(made)
    seen = with_worker(release.folder, work)
    assert 20 < seen["canary-late@2"] < 80
    release.publish(rollouts.canaried(made, made.canaries[0], 0.0))
    assert with_worker(release.folder, work) == {"champion": 100}
    release.publish(rollouts.parked(rollouts.canaried(made, made.canaries[0], 1.0), "late@2", "it fails"))
    assert with_worker(release.folder, work) == {"champion": 100}


@pytest.mark.parametrize("word", ["canary-late@2", "late@2", "2"])
def test_a_caller_may_name_the_variant_and_is_left_out_of_experiments(
    packages: dict[str, Path], release: ReleaseFolder, word: str
) -> None:
    release.publish(deployment(release, packages, 0.0))

    async def work(worker: Worker) -> tuple[httpx.Response, httpx.Response, httpx.Response, list[Any]]:
        named = await ask(worker, x_variant=word)
        by_url = await ask(worker, path="/v2/models/delays/versions/2/infer")
        return named, by_url, await ask(worker, x_variant="canary-late@9"), worker.observed()

    named, by_url, unknown, rows = with_worker(release.folder, work)
    assert [reply.headers["x-variant"] for reply in (named, by_url)] == ["canary-late@2"] * 2
    assert unknown.status_code == 404 and "not loaded" in unknown.json()["error"]
    assert [(row.role, row.reason, row.propensity) for row in rows] == [("canary", "explicit", 1.0)] * 2


def test_where_a_canary_fails_the_champion_answers_and_the_failure_is_the_canarys(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    release.publish(deployment(release, packages, 1.0))

    def broken(columns: Any) -> Any:
        raise RuntimeError("no")

    async def work(worker: Worker) -> tuple[httpx.Response, list[Any], dict[Any, Any]]:
        canary_of(worker).predict = broken  # type: ignore[method-assign]
        return await ask(worker), worker.observed(), worker.counters.read()

    reply, rows, counts = with_worker(release.folder, work)
    assert (reply.status_code, reply.json()["parameters"]) == (200, {"variant": "champion", "fallback": True})
    assert [(row.role, row.reason, row.version) for row in rows] == [("champion", "fallback", "late@1")]
    ((key, count),) = counts.items()
    assert (key.version, key.variant) == ("late@2", "canary") and count.outcomes[Outcome.FALLBACK] == 1


def test_who_is_late_is_stood_in_for_and_one_that_never_returns_holds_nobody_up(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    made = rollouts.timed(deployment(release, packages, 1.0), "late@2", 50)
    release.publish(made)
    returns = threading.Event()

    def hangs(columns: Any) -> Any:
        returns.wait(30)
        raise RuntimeError

    async def work(worker: Worker) -> tuple[list[httpx.Response], list[Any], dict[Any, Any], int]:
        good = canary_of(worker).predict
        assert (await ask(worker)).headers["x-variant"] == "canary-late@2"
        canary_of(worker).predict = hangs  # type: ignore[method-assign]
        replies = [await ask(worker) for _ in range(3)]
        replies.append(await ask(worker, x_variant="canary-late@2"))
        worker.runtime.batcher.expire()
        waiting = worker.runtime.batcher.rows
        returns.set()
        canary_of(worker).predict = good  # type: ignore[method-assign]
        while (again := await ask(worker)).headers["x-variant"] != "canary-late@2":
            await asyncio.sleep(0.01)
        return [*replies, again], worker.observed(), worker.counters.read(), waiting

    replies, rows, counts, waiting = with_worker(release.folder, work)
    for reply in replies[:3]:
        assert reply.json()["parameters"] == {"variant": "champion", "late": True, "fallback": True}
    assert replies[3].status_code == 504 and waiting == 1, "only what runs for ever still has its place"
    assert [(row.role, row.reason) for row in rows[1:4]] == [("champion", "late")] * 3
    mine = next(count for key, count in counts.items() if key.variant == "canary")
    assert mine.outcomes[Outcome.LATE] >= 3 and mine.outcomes[Outcome.UNAVAILABLE] == 1


def test_a_version_named_as_fallback_answers_before_the_previous_one(packages: dict[str, Path], release: ReleaseFolder) -> None:
    champion, previous = release.add(packages["first"], 3), release.add(packages["second"], 2, Role.PREVIOUS)
    named = release.add(packages["first"], 1)
    made = Deployment(name="delays", project="flights", generation=1, variants=(champion, previous))
    release.publish(rollouts.fallen_back(made, named))

    async def work(worker: Worker) -> httpx.Response:
        def broken(columns: Any) -> Any:
            raise RuntimeError

        worker.runtime.require_lineup().champion.predict = broken  # type: ignore[method-assign]
        return await ask(worker)

    reply = with_worker(release.folder, work)
    assert (reply.headers["x-model-version"], reply.headers["x-variant"]) == ("1", "fallback")
    assert reply.json()["parameters"]["fallback"] is True


def test_who_was_ruled_out_on_this_server_gets_nobody_also_not_by_name(packages: dict[str, Path], release: ReleaseFolder) -> None:
    previous = release.add(packages["second"], 5, Role.PREVIOUS)
    made = deployment(release, packages, 1.0)
    release.publish(changed(made, variants=(*made.variants, previous)))

    async def work(worker: Worker) -> list[str]:
        lineup: Lineup = worker.runtime.require_lineup()
        lineup.rule_out(frozenset({made.canaries[0].tree}), None)
        seen = [(await ask(worker)).headers["x-variant"]]
        lineup.rule_out(frozenset({made.champion.tree}), None)
        replies = [await ask(worker), await ask(worker, x_variant="champion")]
        assert all(reply.json()["parameters"] == {"variant": "previous", "fallback": True} for reply in replies)
        return seen

    assert with_worker(release.folder, work) == ["champion"]


def test_a_canary_that_takes_other_inputs_or_cannot_be_loaded_leaves_its_callers_to_the_champion(
    packages: dict[str, Path], release: ReleaseFolder
) -> None:
    champion, other = release.add(packages["first"], 1), release.add(packages["regression"], 2)
    made = Deployment(name="delays", project="flights", generation=1, variants=(champion,))
    missing = Variant("canary", Role.CANARY, "late@3", "0" * 64)
    release.publish(rollouts.canaried(rollouts.canaried(made, other, 0.5), missing, 0.5))

    async def work(worker: Worker) -> tuple[str, str]:
        return (await ask(worker)).headers["x-variant"], worker.runtime.require_lineup().problem

    variant, problem = with_worker(release.folder, work)
    assert variant == "champion" and "takes inputs the champion does not: a, b, c" in problem and "late@3" in problem
