"""Searching experiments and logged models."""

from typing import Any

import pytest

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Invalid
from perenne.storage.database import Database, Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking.keys import keys_of
from perenne.tracking.search import ModelOrder, View, search_experiments, search_models
from perenne.tracking.tables import (
    experiment,
    experiment_tag,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
)

SECOND = 1_000_000


def make_experiments(tx: Transaction) -> dict[str, int]:
    tx.execute(experiment_tag.delete())
    tx.execute(experiment.delete())
    ids = {}
    for place, (name, tags) in enumerate(
        [("alpha", {"team": "x"}), ("beta", {"team": "y", "note": "long"}), ("Gamma", {}), ("delta", {"team": "x"})]
    ):
        created = (place // 2 + 1) * SECOND
        values = {
            "name": name, "project": name, "artifact_location": "", "created": created, "updated": created + place * SECOND,
            "deleted": 5 if name == "delta" else None,
        }  # fmt: skip
        ids[name] = int(tx.scalar(experiment.insert().returning(experiment.c.id), values))
        for key, value in tags.items():
            tx.execute(experiment_tag.insert(), {"experiment": ids[name], "key": key, "value": value})
    return ids


def names(tx: Transaction, actor: Principal, ids: dict[str, int], **asked: Any) -> list[str]:
    called = {number: name for name, number in ids.items()}
    return [called[number] for number in search_experiments(tx, actor, **asked).keys]


def test_experiments(workspace: Workspace, actor: Principal) -> None:
    ids = workspace.database.write(make_experiments)
    all_of_them = {"alpha", "beta", "Gamma"}
    with workspace.database.read() as tx:
        for text, found in (
            ("", all_of_them), ("name = 'alpha'", {"alpha"}), ("attribute.name LIKE '%a'", all_of_them),
            ("name ILIKE 'g%'", {"Gamma"}), ("tags.team = 'x'", {"alpha"}), ("tag.team != 'x'", {"beta"}),
            ("tags.note IS NULL", {"alpha", "Gamma"}), ("NOT tags.team = 'x'", {"beta", "Gamma"}),
            (f"experiment_id = '{ids['beta']}'", {"beta"}),
            (f"experiment_id IN ('{ids['beta']}', '{ids['alpha']}')", {"alpha", "beta"}),
            ("creation_time >= 2000", {"Gamma"}), ("last_update_time < 2001", {"alpha", "beta"}),
            ("name = 'x' OR tags.team = 'y'", {"beta"}),
        ):  # fmt: skip
            assert set(names(tx, actor, ids, filter=text)) == found, text
        assert names(tx, actor, ids) == ["Gamma", "alpha", "beta"]
        assert names(tx, actor, ids, order=["creation_time ASC"]) == ["beta", "alpha", "Gamma"]
        assert names(tx, actor, ids, order=["name DESC"]) == ["beta", "alpha", "Gamma"]
        assert names(tx, actor, ids, view=View.DELETED) == ["delta"]
        assert len(names(tx, actor, ids, view=View.ALL)) == 4
        limited = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"beta"}))
        assert names(tx, limited, ids) == ["beta"]
        first = search_experiments(tx, actor, limit=2)
        assert [*first.keys, *search_experiments(tx, actor, limit=2, token=first.token).keys] == list(
            search_experiments(tx, actor).keys
        )


def test_what_is_wrong_with_a_search_for_experiments(database: Database, actor: Principal) -> None:
    with database.read() as tx:
        for text, message in (
            ("x.a = 'b'", "Invalid entity type 'x'. Valid entity types are ('attribute', 'tag', 'tags')"),
            ("artifact = 'b'", "Invalid attribute key 'artifact' specified. Valid keys are '{'creation_time', 'experiment_id', "),
            ("experiment_id = 'abc'", "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."),
            ("experiment_id LIKE '1%'", "Invalid comparator 'LIKE' not one of '{'!=', '=', 'IN', 'NOT IN'}'"),
            ("tags.a = 5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
        ):
            with pytest.raises(Invalid) as caught:
                search_experiments(tx, actor, filter=text)
            assert caught.value.message.startswith(message)


def make_models(tx: Transaction) -> list[int]:
    homes = list(make_experiments(tx).values())
    keys = keys_of(tx, ["acc", "loss", "depth", "team"])
    for place in range(6):
        values = {
            "id": f"m-{place}", "experiment": homes[place % 2], "run": f"r{place}", "name": f"model-{place}", "type": "Agent",
            "status": place % 3 + 1, "status_message": "", "artifact_uri": "", "created": (place + 1) * SECOND,
            "updated": (place + 2) * SECOND, "deleted": 1 if place == 5 else None,
        }  # fmt: skip
        number = int(tx.scalar(logged_model.insert().returning(logged_model.c.number), values))
        tx.execute(logged_model_param.insert(), {"model": number, "key": keys["depth"], "value": str(place * 5)})
        tx.execute(logged_model_tag.insert(), {"model": number, "key": keys["team"], "value": "x" if place % 2 else "y"})
        for step, dataset in enumerate(("train", "test")):
            measured = {
                "model": number, "key": keys["acc"], "nan": place == 4,
                "value": 0.1 * place if dataset == "train" else 1 - 0.1 * place,
                "time": 10, "step": step, "run": "r", "dataset_name": dataset, "dataset_digest": dataset[:2],
            }  # fmt: skip
            if place:
                tx.execute(logged_model_metric.insert(), measured)
    return homes


def test_logged_models(workspace: Workspace, actor: Principal) -> None:
    homes = workspace.database.write(make_models)
    with workspace.database.read() as tx:
        called = {row.number: row.id for row in tx.execute(logged_model.select())}

        def found(text: str = "", order: tuple[ModelOrder, ...] = (), **asked: Any) -> str:
            page = search_models(tx, actor, experiments=homes, filter=text, order=order, **asked)
            return " ".join(called[number][2:] for number in page.keys)

        assert found() == "4 3 2 1 0"
        assert found("name = 'model-1' OR model_id = 'm-2'") == "2 1"
        assert found("status = 'READY'") == "4 1"
        assert found("params.depth >= 10 AND tags.team = 'y'") == "4 2"
        assert found("params.depth = '10'") == "2"
        assert found("metrics.acc > 0.85") == "1"
        assert found("metrics.acc > 0.85", on=[("train", "")]) == ""
        assert found(on=[("test", "te")]) == "4 3 2 1"
        assert found(on=[("test", "no")]) == ""
        assert found("creation_timestamp <= 2000 AND source_run_id != 'r0'") == "1"
        assert found(order=(ModelOrder("metrics.acc"),)) == "3 2 1 4 0"
        assert found(order=(ModelOrder("metrics.acc", ascending=True, dataset_name="train"),)) == "1 2 3 4 0"
        assert found(order=(ModelOrder("metrics.acc", False, "test", "te"),)) == "1 2 3 4 0"
        assert found(order=(ModelOrder("name"),)) == "0 1 2 3 4"
        assert found(order=(ModelOrder("status"), ModelOrder("creation_time"))) == "0 3 1 4 2"
        for order in ((), (ModelOrder("metrics.acc"),), (ModelOrder("metrics.acc", False), ModelOrder("name", False))):
            numbers: list[int] = []
            token = ""
            while True:
                page = search_models(tx, actor, experiments=homes, order=order, limit=2, token=token)
                numbers += page.keys
                token = page.token
                if not token:
                    break
            assert " ".join(called[number][2:] for number in numbers) == found(order=order)
        limited = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"beta"}))
        assert len(search_models(tx, limited, experiments=homes).keys) == 2


def test_what_is_wrong_with_a_search_for_models(workspace: Workspace, actor: Principal) -> None:
    homes = workspace.database.write(make_models)
    with workspace.database.read() as tx:
        token = search_models(tx, actor, experiments=homes, limit=2).token
        refused: list[tuple[dict[str, Any], str]] = [
            ({"filter": "metric.acc > 1"}, "Invalid entity type: 'metric'. Expected one of ['attributes', "),
            ({"filter": "metrics.acc LIKE 1"}, "Invalid comparison operator for metrics.acc: 'LIKE'. Expected one of ("),
            ({"filter": "size > 1"}, "Invalid attribute key 'size' specified."),
            ({"order": (ModelOrder("size"),)}, "Invalid order by field name: size"),
            ({"order": (ModelOrder("params.a"),)}, "Invalid order by field name: params.a. Only metrics are supported."),
            ({"on": [("", "x")]}, "`dataset_name` in the `datasets` clause must be specified."),
            (
                {"token": token, "filter": "name = 'x'"},
                "Filter string in the page token does not match the requested filter string. Expected: name = 'x'.",
            ),
            (
                {"token": token, "order": (ModelOrder("name"),)},
                "Order by in the page token does not match the requested order by. Expected: [{'field_name': 'name'}].",
            ),
            (
                {"token": token, "experiments": homes[:1]},
                f"Experiment IDs in the page token do not match the requested experiment IDs. Expected: ['{homes[0]}']. Found: [",
            ),
            ({"token": token, "on": [("test", "")]}, "Invalid page token, "),
        ]
        for asked, message in refused:
            with pytest.raises(Invalid) as caught:
                search_models(tx, actor, **{"experiments": homes, **asked})
            assert caught.value.message.startswith(message)
