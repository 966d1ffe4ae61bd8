"""A lived-in installation, made by the real loop: what the screens show in tests is what happened.

Subscriptions are sold for some weeks; then prices rise. The first version serves, is asked by HTTP, hears later what came true,
and drifts; the loop retrains twice: one challenger is rejected, the next one waits for a person. A second project is a regression
that nobody asks, a third misses its objective.
"""

import csv
import random
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from tests.web.sweep import log_files, log_sweep, register_models

from perenne import monitoring, registry
from perenne.app.wiring import Platform
from perenne.auth.principals import Principal, local_principal
from perenne.automation import run_round
from perenne.core.clock import DAY, HOUR, ManualClock, format_time, parse_time
from perenne.core.config import load_settings
from perenne.projects import load_project
from perenne.serving import ModelServer
from perenne.storage.workspace import Workspace

OPENING = parse_time("2026-03-02")
CHANGE = parse_time("2026-03-09")
END = parse_time("2026-03-18")
ROWS_A_DAY = 240

CHURN = '''
"""Call customers before they leave."""

from pathlib import Path

import perenne as pn

project = pn.Project(
    "churn",
    problem="Call customers before they cancel their subscription.",
    owner="crm",
    scope="Private customers with a running subscription.",
    objectives=[
        pn.Objective("roc_auc", at_least=0.65),
        pn.Objective("roc_auc", at_least=0.55, by="plan"),
        pn.Objective("latency_p99_ms", at_most=250),
    ],
    guardrails=[pn.Guardrail("log_loss", at_most=2.0)],
    plan=[
        pn.Milestone("2025-01-31", "First version in service", evidence="deployed"),
        pn.Milestone("2099-06-01", "Retrains by itself", evidence="retrained"),
        pn.Milestone("2026-06-01", "Every customer is scored daily"),
    ],
    people=[pn.Person("ada", "data scientist"), pn.Person("joe", "product owner")],
    window="1d",
)


@project.dataset(time="day", key="customer", expect=pn.expect.unique("customer"))
def subscriptions():
    """Every subscription and whether it was cancelled."""
    return Path(__file__).parent / "subscriptions.csv"


@project.model(target="churned", data=subscriptions, search={"max_leaf_nodes": [4, 8]})
def churn_model(X, y, params):
    """Small boosted trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0, **params)


project.retrain(
    on=[pn.drift(), pn.missed("roc_auc")], promote=pn.superior(alpha=0.05), approve_by="crm-leads", holdout="2d",
    label_delay="1d", cooldown="6d", shadow="1d", shadow_rows=50, soak="2d",
)
'''

PRICES = '''
"""Tell what a flat will rent for."""

from pathlib import Path

import perenne as pn

project = pn.Project(
    "rents", problem="Tell what a flat will rent for.", owner="estates",
    objectives=[pn.Objective("rmse", at_most=RMSE)], window="1d",
)


@project.dataset()
def flats():
    return Path(__file__).parent / "flats.csv"


@project.model(target="rent", data=flats)
def rent_model(X, y, params):
    from sklearn.linear_model import LinearRegression

    return LinearRegression()
'''


class Answered(NamedTuple):
    """A prediction, and what became of it."""

    prediction_id: str
    churned: int


def subscription(rng: random.Random, instant: int, number: int) -> dict[str, Any]:
    """Return one subscription; from the change on fees are higher, and it is they that drive people away."""
    changed = instant >= CHANGE
    plan, calls, tenure = rng.choice(["basic", "plus", "pro"]), rng.randint(0, 12), rng.randint(1, 60)
    fee = round(rng.uniform(56, 110) if changed else rng.uniform(9, 49), 2)
    risk = ((fee - 56) / 60 if changed else 0.06 * calls) + (0.15 if plan == "basic" else 0.0) - 0.002 * tenure
    return {
        "customer": f"c{number:06}",
        "day": format_time(instant)[:19],
        "plan": plan,
        "monthly_fee": fee,
        "calls": calls,
        "tenure_months": tenure if rng.random() > 0.03 else None,
        "churned": int(rng.random() < min(0.95, max(0.03, risk))),
    }


def days() -> list[list[dict[str, Any]]]:
    """Return the subscriptions of every day, from six weeks before the opening to the end."""
    rng, number, found = random.Random(7), 0, []
    for start in range(OPENING - 42 * DAY, END, DAY):
        rows = []
        for place in range(ROWS_A_DAY):
            number += 1
            rows.append(subscription(rng, start + place * (DAY // ROWS_A_DAY), number))
        found.append(rows)
    return found


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def write_projects(folder: Path, every_day: list[list[dict[str, Any]]]) -> dict[str, Path]:
    rng = random.Random(3)
    flats = [{"rooms": rng.randint(1, 6), "area": rng.uniform(20, 160), "floor": rng.randint(0, 9)} for _ in range(600)]
    for flat in flats:
        flat["rent"] = round(9 * flat["area"] + 40 * flat["rooms"] + rng.gauss(0, 60), 2)
    made = {}
    for name, text in (("churn", CHURN), ("rents", PRICES.replace("RMSE", "90")), ("hard", PRICES.replace("RMSE", "20"))):
        made[name] = folder / name
        made[name].mkdir(parents=True)
        (made[name] / "project.py").write_text(text.replace('"rents"', f'"{name}"') if name == "hard" else text)
        if name == "churn":
            write_csv(made[name] / "subscriptions.csv", [row for rows in every_day for row in rows])
        else:
            write_csv(made[name] / "flats.csv", flats)
    return made


class Story:
    """Plays the days."""

    def __init__(self, workspace: Workspace, clock: ManualClock, person: Principal) -> None:
        self._workspace, self._clock, self._person = workspace, clock, person
        self._platform = Platform(workspace, replay=True)

    def play(self, folder: Path) -> str:
        """Train, serve, drift, retrain; return the id of a prediction."""
        every_day = days()
        projects = write_projects(folder, every_day)
        done = run_round(self._workspace, self._person, load_project(projects["churn"]))
        self._decide(done.version.id)
        self.settle()
        for name in ("rents", "hard"):
            run_round(self._workspace, self._person, load_project(projects[name]))
        return self._live(every_day[42:])

    def settle(self) -> None:
        while True:
            self._platform.loop.settle()
            if not self._platform.errands.drain() + self._platform.trainer.drain():
                return

    def _decide(self, version: str) -> None:
        self._workspace.database.write(
            lambda tx: registry.approvals.decide(tx, self._person, version, approve=True, reason="looks right")
        )

    def _live(self, every_day: list[list[dict[str, Any]]]) -> str:
        settings, last = self._workspace.settings, ""
        with ModelServer(settings.releases / "churn", settings.logs, settings.spool, settings.host, 0) as server:
            server.wait_ready()
            client = httpx.Client(base_url=f"http://127.0.0.1:{server.port}")
            yesterday: list[Answered] = []
            for rows in every_day:
                today = ask(client, rows)
                last = today[len(today) // 2].prediction_id
                server.flush()
                self._clock.advance_to(self._clock.now() + DAY)
                if yesterday:
                    now = format_time(self._clock.now())
                    labels = [monitoring.labels.LabelRow(item.prediction_id, item.churned, now) for item in yesterday]
                    monitoring.labels.submit_labels(self._workspace, self._person, labels)
                yesterday = today
                self.settle()
            client.close()
        return last


def ask(client: httpx.Client, rows: list[dict[str, Any]]) -> list[Answered]:
    """Ask about one day's subscriptions, ten at once."""
    found: list[Answered] = []
    for start in range(0, len(rows), 10):
        part = rows[start : start + 10]
        inputs = [tensor(name, [row[name] for row in part]) for name in ("plan", "monthly_fee", "calls", "tenure_months")]
        answer = client.post("/v2/models/churn/infer", json={"inputs": inputs}, headers={"x-event-time": part[0]["day"] + "Z"})
        assert answer.status_code == 200, answer.text
        identity = answer.headers["x-request-id"]
        found += [Answered(f"{identity}-{place}", row["churned"]) for place, row in enumerate(part)]
    return found


def tensor(name: str, values: list[Any]) -> dict[str, Any]:
    datatype = "BYTES" if isinstance(values[0], str) else "FP64"
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def make(folder: Path) -> None:
    """Make the installation in an empty folder."""
    settings = load_settings(folder, {})
    settings.home.mkdir(parents=True, exist_ok=True)
    clock = ManualClock(OPENING)
    with Workspace(settings, clock) as workspace:
        prediction = Story(workspace, clock, local_principal()).play(folder)
        sweep = log_sweep(workspace.database, local_principal(), clock.now())
        log_files(workspace, local_principal(), sweep.runs[0])
        register_models(workspace, local_principal(), sweep.runs[0])
    (folder / "prediction").write_text(prediction)
    (folder / "now").write_text(str(clock.now() + HOUR))


if __name__ == "__main__":
    import sys
    import time

    started = time.monotonic()
    make(Path(sys.argv[1]))
    print(f"{time.monotonic() - started:.1f} s")
