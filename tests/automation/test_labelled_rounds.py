"""A round whose target comes from a label set: only what is known when it begins counts, and lineage leads to the labels."""

import csv
import random
from pathlib import Path

from tests.labels.people import ADA, BEN, taken, write

from perenne import data
from perenne.auth.principals import local_principal
from perenne.automation import run_round
from perenne.core.clock import SystemClock
from perenne.core.config import Settings
from perenne.labels import choosing, label_store, labelling, sets
from perenne.labels.labelling import Said
from perenne.labels.model import Definition, LabelClass, TaskKind
from perenne.projects import load_project
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace

PROJECT = '''
"""Find reports that somebody should read."""

import perenne as pn

project = pn.Project("reports", problem="Find reports to read.", owner="desk", objectives=[pn.Objective("roc_auc", at_least=0.5)])


@project.dataset(key="id", labels=pn.labelled("urgent", column="urgent"))
def reports():
    return FILE


@project.model(target="urgent", data=reports, positive="yes")
def model(X, y, params):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()
'''


def test_a_round_learns_from_the_labels_that_are_known(settings: Settings, tmp_path: Path) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    file = tmp_path / "reports.csv"
    rows = [{"id": n, "size": round(rng.gauss(0, 1), 3), "age": rng.randint(1, 90)} for n in range(300)]
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["id", "size", "age"])
        table.writeheader()
        table.writerows(rows)
    (tmp_path / "project.py").write_text(PROJECT.replace("FILE", repr(str(file))))
    with Workspace(settings, SystemClock()) as workspace:
        classes = (LabelClass("no"), LabelClass("yes"))
        definition = Definition(kind=TaskKind.BINARY, classes=classes, keys=("id",))
        write(workspace, sets.create, ADA, "urgent", definition, project="reports")
        snapshot = taken(workspace, data.read_source(file), "reports")
        choosing.choose(workspace.database, workspace.objects, ADA, "urgent", snapshot.id)
        with workspace.database.read() as tx:
            items = label_store.items(tx, "urgent")
        late = 2**60
        said = [
            Said(item.item, "yes" if rows[item.row]["size"] > 0 else "no", known=late if item.row >= 240 else 1_000)
            for item in items
        ]
        write(workspace, labelling.say, BEN, "urgent", said)
        done = run_round(workspace, local_principal(), load_project(tmp_path))
        used = data.snapshots.read_snapshot(workspace.objects, done.version.snapshot)
        with workspace.database.read() as tx:
            links = {link.relation: link.target for link in links_from(tx, Kind.SNAPSHOT, done.version.snapshot)}
            of = {link.relation: link.target for link in links_from(tx, Kind.LABEL_VERSION, links["labelled_by"])}
    assert used.num_rows == 240 and set(used.column("urgent").to_pylist()) == {"yes", "no"}
    assert of == {"version_of": "urgent", "labels": snapshot.id}
