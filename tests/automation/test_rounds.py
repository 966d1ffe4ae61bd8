"""One round: everything is kept together or not at all, nothing is done twice, and a killed round goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pyarrow.csv as csv
import pytest
from tests.automation.conftest import PROJECT, do_round

from perenne import registry, tracking
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation.rounds import run_round
from perenne.core.clock import ManualClock
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.data import profile_table, read_source
from perenne.data.validation import Broken, infer_schema, write_schema
from perenne.data.views import dataset_view
from perenne.pipelines.model import Started, StepEvent
from perenne.projects import load_project
from perenne.registry.model import GateState
from perenne.storage.links import Kind, walk
from perenne.storage.trees import get_tree
from perenne.storage.workspace import Workspace
from perenne.tracking.model import RunState


def test_a_round_registers_a_version_with_all_that_made_it(workspace: Workspace, actor: Principal, folder: Path) -> None:
    done = do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        found = registry.dossier(tx, done.version.id)
        run = tracking.service.get_run(tx, done.run)
        lineage = {(link.source_kind, link.relation, link.target_kind) for link in walk(tx, [(Kind.VERSION, done.version.id)])}
        actions = [record.action for record in reversed(audit.trail(tx))]
    assert found.gate.state is GateState.OPEN
    assert {item.check.split(":")[0] for item in found.evidence} == {"parity", "data", "objective", "guardrail", "signature"}
    assert (run.state, run.data) == (RunState.FINISHED, (done.version.snapshot,))
    assert run.metrics["roc_auc"] == pytest.approx(0.98, abs=0.03)
    assert {("version", "made_by", "run"), ("version", "trained_on", "snapshot"), ("run", "used", "snapshot")} <= lineage
    made = ["version.register", "key.make", "version.sign"]
    assert actions == ["project.state", "snapshot.take", "run.start", "snapshot.examine", "run.finished", *made]
    files = {file.path for file in get_tree(workspace.objects, done.version.tree).files}
    assert {"package.json", "monitor/reference.npz", "parity.json"} <= files
    assert not [path for path in files if path.endswith((".pkl", ".pickle", ".joblib"))]


def test_what_validation_found_is_kept_also_of_a_round_that_it_stopped(
    workspace: Workspace, actor: Principal, folder: Path
) -> None:
    held = PROJECT.replace("import perenne as pn", "import perenne as pn\nfrom perenne import expect").replace(
        '@project.dataset(time="day")', '@project.dataset(time="day", expect=expect.holds("small", "mean_radius < 20"))'
    )
    table = csv.read_csv(folder / "samples.csv")
    number = next(name for name in table.column_names if name not in {"day", "group", "target"})
    (folder / "project.py").write_text(held.replace("mean_radius < 20", f'\\"{number}\\" < 20'))
    with pytest.raises(Invalid, match="small"):
        do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        shown = dataset_view(tx, workspace.objects, actor, "samples")
        failed = tracking.service.runs(tx)[0]
    assert shown.findings is not None
    assert (shown.findings.errors, shown.findings.shown[0].anomaly.check) == (1, "holds")
    assert shown.findings.shown[0].anomaly.sample_rows
    assert shown.snapshot.runs.newest == (failed.id,)
    assert failed.data == (shown.snapshot.id,)
    assert shown.snapshot.first is not None


def test_a_schema_of_the_project_stops_a_round_and_lets_it_go_on_when_it_has_followed_the_data(
    workspace: Workspace, actor: Principal, folder: Path
) -> None:
    table = csv.read_csv(folder / "samples.csv")
    number = next(name for name in table.column_names if name not in {"day", "group", "target"})
    schema = folder / "schemas" / "samples.yaml"
    schema.parent.mkdir()
    text = write_schema(infer_schema(profile_table(read_source(folder / "samples.csv"))))
    schema.write_text(f"{text}rules: {{small: '\"{number}\" < 20'}}\nchecks: {{mine: own:fine}}\n")
    (folder / "own.py").write_text("def fine(table):\n    return [True] * len(table)\n")
    with pytest.raises(Broken, match="small") as caught:
        do_round(workspace, actor, folder)
    assert (caught.value.exit_code, caught.value.code) == (6, "data.validation")
    schema.write_text(f"{text}checks: {{mine: own:fine}}\n")
    assert do_round(workspace, actor, folder).changed
    assert not do_round(workspace, actor, folder).changed
    (folder / "own.py").write_text("def fine(table):\n    return [False] * len(table)\n")
    with pytest.raises(Broken, match="check, expected mine: own:fine"):
        do_round(workspace, actor, folder)


def test_a_schema_that_makes_no_sense_is_told_before_anything_is_trained(
    workspace: Workspace, actor: Principal, folder: Path
) -> None:
    (folder / "project.py").write_text(PROJECT.replace('(time="day")', '(time="day", schema="rules.yaml")'))
    with pytest.raises(NotFound, match=r"rules\.yaml"):
        do_round(workspace, actor, folder)
    (folder / "rules.yaml").write_text("table: {}\ncolumns: {day: {tpye: timestamp}}\n")
    with pytest.raises(Invalid, match="did you mean 'type'"):
        do_round(workspace, actor, folder)


def test_with_nothing_changed_nothing_is_done(workspace: Workspace, actor: Principal, folder: Path) -> None:
    first = do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        before = audit.trail(tx)[0].seq
    again = do_round(workspace, actor, folder)
    assert (again.changed, again.version.id) == (False, first.version.id)
    assert again.steps == again.hits
    with workspace.database.read() as tx:
        assert audit.trail(tx)[0].seq == before
        assert len(tracking.service.runs(tx)) == 1


def test_a_round_in_child_processes_is_the_same_round(
    workspace: Workspace, clock: ManualClock, actor: Principal, folder: Path
) -> None:
    with Workspace(msgspec.structs.replace(workspace.settings, executor="processes:2"), clock) as elsewhere:
        first = do_round(elsewhere, actor, folder)
    again = do_round(workspace, actor, folder)
    assert (again.changed, again.version.id, again.hits) == (False, first.version.id, again.steps)


def test_an_executor_that_does_not_exist_is_told_before_anything_happens(
    workspace: Workspace, clock: ManualClock, actor: Principal, folder: Path
) -> None:
    with (
        Workspace(msgspec.structs.replace(workspace.settings, executor="hamster"), clock) as wrong,
        pytest.raises(Invalid, match="'hamster' is not known"),
    ):
        do_round(wrong, actor, folder)
    with workspace.database.read() as tx:
        assert not tracking.service.runs(tx)
        assert not audit.trail(tx)


def test_new_rows_make_a_new_version_and_changed_words_do_not_fit_again(
    workspace: Workspace, actor: Principal, folder: Path
) -> None:
    first = do_round(workspace, actor, folder)
    (folder / "project.py").write_text(PROJECT.replace("Tell benign from malignant.", "Tell them apart, early."))
    assert do_round(workspace, actor, folder).version.id == first.version.id
    lines = (folder / "samples.csv").read_text().splitlines()
    (folder / "samples.csv").write_text("\n".join(lines[:-20]) + "\n")
    second = do_round(workspace, actor, folder)
    assert second.changed
    assert second.version.id == "lumps@2"


def test_a_changed_model_is_fitted_again_on_the_data_that_is_there(workspace: Workspace, actor: Principal, folder: Path) -> None:
    do_round(workspace, actor, folder)
    (folder / "project.py").write_text(PROJECT.replace("max_iter=2_000", "max_iter=2_001"))
    again = do_round(workspace, actor, folder)
    assert again.steps - again.hits >= 3
    heard: list[StepEvent] = []
    run_round(workspace, actor, load_project(folder), on_event=heard.append)
    assert [event.step for event in heard if isinstance(event, Started)] == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('target="target"', 'target="goal"', "goal"),
        ("return make_pipeline(", "raise RuntimeError('no luck')\n    return make_pipeline(", "no luck"),
        ("samples.csv", "missing.csv", "missing.csv"),
        ('by="group"', 'by="nobody"', "nobody"),
    ],
)
def test_a_round_that_fails_registers_nothing_and_says_why(
    workspace: Workspace, actor: Principal, folder: Path, old: str, new: str, words: str
) -> None:
    (folder / "project.py").write_text(PROJECT.replace(old, new))
    with pytest.raises(PerenneError, match=words):
        do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        assert registry.versions(tx) == []
        runs = tracking.service.runs(tx)
        assert [run.state for run in runs] == [RunState.FAILED]
        assert words in runs[0].outcome
    (folder / "project.py").write_text(PROJECT)
    assert do_round(workspace, actor, folder).version.id == "lumps@1"


def test_a_model_that_misses_its_objective_is_registered_behind_a_closed_gate(
    workspace: Workspace, actor: Principal, folder: Path
) -> None:
    (folder / "project.py").write_text(PROJECT.replace("at_least=0.8)", "at_least=0.9999)"))
    done = do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        found = registry.dossier(tx, done.version.id)
    assert found.gate.state is GateState.CLOSED
    assert "roc_auc" in found.gate.reasons[0]


ROUND = """
import sys
from pathlib import Path
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation.rounds import run_round
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import load_settings
from perenne.projects import load_project
from perenne.storage.workspace import Workspace
folder = Path(sys.argv[1])
with Workspace(load_settings(folder.parent, {}), ManualClock(parse_time("2021-12-01"))) as workspace:
    actor = Principal("ada", roles=frozenset(Role))
    run_round(workspace, actor, load_project(folder), on_event=lambda event: print(event, flush=True))
"""


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 60))])
def test_a_killed_round_goes_on_and_ends_as_one_that_was_left_alone(
    workspace: Workspace, actor: Principal, folder: Path, seed: int
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ROUND, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 2.5))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    done = do_round(workspace, actor, folder)
    with workspace.database.read() as tx:
        assert [version.id for version in registry.versions(tx)] == ["lumps@1"]
        assert audit.verify(tx).bad_seq is None
        for file in get_tree(workspace.objects, done.version.tree).files:
            workspace.objects.get(file.digest)
