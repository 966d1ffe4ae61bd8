"""Ask MLflow itself what many searches find, and write it down for `test_search_as_mlflow.py`.

Run by hand, with a Python that has `mlflow==3.17.2`: ``python tests/tracking/record_searches.py``. It makes runs in a database of
its own in a temporary folder, asks MLflow's store, and writes `recorded_searches.json` beside this file.
"""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

STATES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
START = 1_700_000_000_000
TEXTS = ["adam", "Adam", "sgd", "0.1", "1e-3", "10", "ä%_b", "", "x" * 300]
VALUES = [0.0, 0.5, -1.0, 2.0, "NaN", 1e300]
PATTERNS = ["a%", "A%", "%d%", "_dam", "%", "bold%", "%o_-%", "ada", "bold-fox", "\\%", "%0.1", "nope"]
TEXT_KEYS = [
    "params.p",
    "params.`my q`",
    'parameter."my q"',
    "tags.t",
    "tag.u.v",
    "run_name",
    "attributes.run_name",
    "`Run name`",
]
TEXT_KEYS += ["user_id", "tags.`u.v`"]
ORDERS = ["metrics.a", "metrics.c DESC", "params.p", "params.`my q` desc", "tags.t ASC", "end_time DESC", "attribute.status"]
ORDERS += ["run_name DESC", "user_id ASC", "start_time", "start_time DESC"]
IN = "IN ('flights', 'tra')"
RUNS, QUESTIONS = 40, 150


def make_runs(dice: random.Random) -> list[dict[str, Any]]:
    """Make runs, each begun at another time, so that there is but one order."""
    return [
        {
            "experiment": dice.randrange(2), "name": dice.choice(["bold-fox", "calm-owl-2", "Bold-Fox", "ä"]),
            "user": dice.choice(["ada", "bob", ""]), "state": dice.choice(STATES), "started": START + place * 7 % RUNS,
            "ended": dice.choice([None, START + 90_000 + place]), "deleted": place % 9 == 8,
            "metrics": {key: dice.choice(VALUES) for key in "abc" if dice.random() < 0.7},
            "params": {key: dice.choice(TEXTS) for key in ("p", "my q") if dice.random() < 0.7},
            "tags": {key: dice.choice(TEXTS) for key in ("t", "u.v") if dice.random() < 0.7},
            "datasets": [[key, key[:3], dice.choice(["train", "test"])] for key in ("flights", "trains") if dice.random() < 0.4],
        }
        for place in range(RUNS)
    ]  # fmt: skip


def make_clause(dice: random.Random) -> str:
    """Write a clause that MLflow takes."""
    compare = dice.choice(["=", "!=", "<", "<=", ">", ">="])
    kind = dice.choice(["metric", "time", "status", "dataset", "null", "text", "text"])
    if kind == "metric":
        number = dice.choice(["0", "0.5", "-1", "2", "1e3", "-1.5"])
        return f"{dice.choice(['metrics.a', 'metric.b', 'metrics.`c`'])} {compare} {number}"
    if kind == "time":
        return f"{dice.choice(['start_time', 'end_time', 'attr.created'])} {compare} {START + dice.choice([0, 3, 17, 90_020])}"
    if kind == "status":
        return f"status {dice.choice(['=', '!='])} '{dice.choice([*STATES, 'odd'])}'"
    if kind == "null":
        return f"{dice.choice(['params.p', 'tags.t', 'tags.`u.v`'])} IS {dice.choice(['', 'NOT '])}NULL"
    if kind == "dataset":
        key = dice.choice(["dataset.name", "datasets.digest", "dataset.context"])
        one = f"{dice.choice(['=', '!=', 'LIKE', 'ILIKE'])} '{dice.choice(['flights', 'fli', 'train', 'test', 'f%', '%T%'])}'"
        return f"{key} {dice.choice([one, one, IN, f'NOT {IN}'])}"
    word = dice.choice(["=", "!=", "LIKE", "ILIKE", "like", "Ilike"])
    quote = dice.choice("'\"")
    return f"{dice.choice(TEXT_KEYS)} {word} {quote}{dice.choice(TEXTS[:8] + PATTERNS)}{quote}"


def make_question(dice: random.Random) -> dict[str, Any]:
    """Write a filter and an order in which no key comes twice."""
    clauses = [make_clause(dice) for _ in range(dice.choice([0, 1, 1, 2, 3]))]
    order = dice.sample(ORDERS[:9], dice.choice([0, 0, 1, 2])) + dice.sample(ORDERS[9:], dice.choice([0, 0, 1]))
    return {"filter": dice.choice([" AND ", " and "]).join(clauses), "order": order}


def fill(store: Any, runs: list[dict[str, Any]]) -> tuple[list[str], dict[str, int]]:
    """Log the runs; return the ids of the experiments, and the place of each run by its id."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus, RunTag

    homes = [store.create_experiment(name) for name in ("one", "two")]
    places = {}
    for place, run in enumerate(runs):
        made = store.create_run(homes[run["experiment"]], run["user"], run["started"], [], run["name"])
        identity = made.info.run_id
        places[identity] = place
        for key, value in run["metrics"].items():
            store.log_metric(identity, Metric(key, float(value), 1, 0))
        for key, value in run["params"].items():
            store.log_param(identity, Param(key, value))
        for key, value in run["tags"].items():
            store.set_tag(identity, RunTag(key, value))
        used = [
            DatasetInput(Dataset(name, digest, "local", "x"), [InputTag("mlflow.data.context", context)])
            for name, digest, context in run["datasets"]
        ]
        store.log_inputs(identity, used)
        store.update_run_info(identity, RunStatus.from_string(run["state"]), run["ended"], None)
        if run["deleted"]:
            store.delete_run(identity)
    return homes, places


def main() -> None:
    from mlflow.entities import ViewType
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    dice = random.Random(17)
    runs, questions = make_runs(dice), [make_question(dice) for _ in range(QUESTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        store = SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", folder)
        homes, places = fill(store, runs)
        for question in questions:
            found = store.search_runs(homes, question["filter"], ViewType.ACTIVE_ONLY, 1000, question["order"])
            question["found"] = [places[run.info.run_id] for run in found]
    lines = [json.dumps(item, ensure_ascii=False) for item in (*runs, *questions)]
    body = {"runs": lines[: len(runs)], "questions": lines[len(runs) :]}
    texts = [f' "{name}": [\n  ' + ",\n  ".join(items) + "\n ]" for name, items in body.items()]
    Path(__file__).with_name("recorded_searches.json").write_text("{\n" + ",\n".join(texts) + "\n}\n")


if __name__ == "__main__":
    main()
