"""One person's rows leave every snapshot, whole and for good, also if the work is killed half-way; nothing else changes."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from click.testing import CliRunner

from perenne import labels
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.wording import told
from perenne.core.errors import Conflict, Denied, NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data import erasure_store, take_snapshot
from perenne.data.commands import data
from perenne.data.erasure_store import StepState
from perenne.data.ingest.model import Mode, Source
from perenne.data.ingest.refreshing import ingest, refresh
from perenne.data.model import Snapshot
from perenne.data.privacy import erasing
from perenne.data.privacy.certificates import Certificate, problem_of, written
from perenne.data.privacy.planning import Subject, read_subject
from perenne.data.snapshots import list_snapshots, read_snapshot
from perenne.storage import outbox
from perenne.storage.links import Kind, add_link, links_from
from perenne.storage.workspace import Workspace

KEY = b"k" * 32
ADA = Subject("mail", "ada@example.org")


def table(*mails: str | None) -> pa.Table:
    return pa.table({"n": list(range(len(mails))), "mail": pa.array(mails, pa.string())})


def take(workspace: Workspace, actor: Principal, rows: pa.Table, dataset: str = "customers", project: str = "") -> Snapshot:
    return take_snapshot(workspace.database, workspace.objects, actor, rows, dataset=dataset, project=project)


def erase(workspace: Workspace, actor: Principal, subject: Subject = ADA, **how: Any) -> Certificate | None:
    return erasing.erase(workspace.database, workspace.objects, actor, workspace.clock, subject, KEY, **how)


@pytest.fixture
def snapshots(workspace: Workspace, actor: Principal) -> Sequence[Snapshot]:
    """Three that hold Ada, one of them of two data sets, one that does not, and one without such a column."""
    return [
        take(workspace, actor, table("ada@example.org", "bob@example.org", "ada@example.org"), project="churn"),
        take(workspace, actor, table("bob@example.org", None, "ada@example.org", "eve@example.org")),
        take(workspace, actor, table("bob@example.org", None, "ada@example.org", "eve@example.org"), "copies"),
        take(workspace, actor, table("ada@example.org")),
        take(workspace, actor, table("bob@example.org")),
        take(workspace, actor, pa.table({"x": ["ada@example.org"]}), "others"),
    ]


def everything(workspace: Workspace) -> str:
    """Return all that is kept, as text."""
    with workspace.database.read() as tx:
        trail = [msgspec.json.encode(record).decode() for record in audit.trail(tx, limit=1_000)]
        kept = [msgspec.json.encode(item).decode() for item in erasure_store.newest(tx, 100)]
        events = [item.payload for item in outbox.events(tx, limit=100)]
    return "\n".join([*trail, *kept, *events])


def test_first_it_is_only_shown_what_would_be(workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]) -> None:
    found = erasing.plan(workspace.database, workspace.objects, actor, ADA, ())
    assert {(item.snapshot, item.datasets, item.rows, item.total) for item in found} == {
        (snapshots[0].id, ("customers",), (0, 2), 3),
        (snapshots[1].id, ("copies", "customers"), (2,), 4),
        (snapshots[3].id, ("customers",), (0,), 1),
    }
    assert [item.snapshot for item in erasing.plan(workspace.database, workspace.objects, actor, ADA, ["copies"])] == [
        snapshots[1].id
    ]
    assert all(workspace.objects.exists(found.id) for found in snapshots)
    with pytest.raises(NotFound, match="no data set 'nothing'"):
        erasing.plan(workspace.database, workspace.objects, actor, ADA, ["nothing"])


def test_rows_are_gone_from_every_snapshot_and_the_rest_is_as_it_was(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]
) -> None:
    before = {found.id: read_snapshot(workspace.objects, found.id) for found in snapshots}
    done = erase(workspace, actor, reason="request 4711")
    assert done is not None
    replaced = {item.snapshot: item for item in done.snapshots}
    assert set(replaced) == {snapshots[0].id, snapshots[1].id, snapshots[3].id}
    for identity, item in replaced.items():
        assert not workspace.objects.exists(identity)
        left = [row for row in before[identity].to_pylist() if row["mail"] != "ada@example.org"]
        assert item.erased == before[identity].num_rows - len(left)
        assert (read_snapshot(workspace.objects, item.replacement).to_pylist() if item.replacement else []) == left
    assert replaced[snapshots[3].id].replacement == ""
    assert all(workspace.objects.exists(found.id) for found in (snapshots[4], snapshots[5]))
    with workspace.database.read() as tx:
        newest = list_snapshots(tx, "copies")[0]
        links = [(link.relation, link.target) for link in links_from(tx, Kind.SNAPSHOT, replaced[snapshots[0].id].replacement)]
        assert audit.verify(tx).bad_seq is None
    assert newest.id == replaced[snapshots[1].id].replacement
    assert links == [("replaces", snapshots[0].id), ("taken_for", "churn")]
    assert erase(workspace, actor) is None
    assert "ada@" not in everything(workspace) + written(done).decode()


def test_an_erased_snapshot_says_so_and_does_not_come_back(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot], tmp_path: Path
) -> None:
    erase(workspace, actor)
    for verb in (("profile", snapshots[0].id), ("validate", snapshots[0].id, "--baseline", snapshots[4].id)):
        with pytest.raises(NotFound, match="2 of its 3 rows were a person's") as caught:
            call(workspace, *verb)
        assert (caught.value.code, "holds the other rows" in caught.value.hint) == ("data.erased", True)
    listed = {row["id"]: row["source"] for row in call(workspace, "list").shown}
    assert listed[snapshots[3].id[:12]] == "erased; no row was left"
    assert "holds the other rows" in listed[snapshots[0].id[:12]]
    assert "erased; no row was left" in call(workspace, "show", snapshots[3].id).note
    with pytest.raises(NotFound, match="are not kept any more"):
        read_snapshot(workspace.objects, snapshots[0].id)
    with pytest.raises(Conflict, match="the source still holds the person's rows"):
        take(workspace, actor, table("ada@example.org", "bob@example.org", "ada@example.org"))
    assert take(workspace, actor, table("bob@example.org", "bob@example.org")).rows == 2


def test_what_was_found_in_a_snapshot_goes_with_it_unless_another_has_the_same(
    workspace: Workspace, actor: Principal, tmp_path: Path
) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("n,mail\n" + "".join(f"{row},{name}@example.org\n" for row, name in enumerate(["ada", "bob"] * 5)))
    taken: Snapshot = call(workspace, "snapshot", file).value
    call(workspace, "validate", taken.id, "--baseline", file)
    before = set(workspace.objects.digests())
    erase(workspace, actor)
    after = set(workspace.objects.digests())
    assert len(before - after) == 3, "rows, profile and findings"
    assert all(b"ada@example.org" not in workspace.objects.get(digest) for digest in after)
    assert call(workspace, "snapshot", file.with_name("other.csv") if other(file) else file).value.rows == 5


def other(file: Path) -> bool:
    file.with_name("other.csv").write_text("n,mail\n" + "".join(f"{row},bob@example.org\n" for row in range(5)))
    return True


def test_models_that_learned_from_the_rows_are_named(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]
) -> None:
    def link(tx: Any) -> None:
        add_link(tx, (Kind.VERSION, "churn@3"), "trained_on", (Kind.SNAPSHOT, snapshots[0].id))
        add_link(tx, (Kind.RUN, "run7"), "used", (Kind.SNAPSHOT, snapshots[1].id))
        add_link(tx, (Kind.VERSION, "other@1"), "trained_on", (Kind.SNAPSHOT, snapshots[4].id))

    workspace.database.write(link)
    done = erase(workspace, actor)
    assert done is not None
    assert (done.versions, done.runs) == (("churn@3",), ("run7",))
    assert any("models that learned" in item for item in done.beyond)


def test_a_certificate_is_held_against_the_trail(workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]) -> None:
    done = erase(workspace, actor, reason="request 4711")
    assert done is not None
    document = written(done)
    with workspace.database.read() as tx:
        assert problem_of(tx, document) == ""
        assert "tells of no such certificate" in problem_of(tx, document.replace(b'"rows": 3', b'"rows": 4'))
        assert problem_of(tx, b"nothing") == "it is no certificate"
        kept = erasure_store.newest(tx, 1)[0]
        sentences = [told(record).sentence for record in audit.trail(tx, entity="erasure")]
    assert workspace.objects.get(kept.certificate) == document
    assert sentences == [
        "ada erased a person's rows: 4 rows of 3 snapshots; request 4711",
        "ada began to erase a person's rows: 4 rows of 3 snapshots; request 4711",
    ]


def test_who_may_not_erases_nothing(workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]) -> None:
    viewer = Principal("eve", roles=frozenset({Role.VIEWER, Role.CONTRIBUTOR}))
    with pytest.raises(Denied):
        erase(workspace, viewer)
    with pytest.raises(Denied):
        erasing.resume(workspace.database, workspace.objects, viewer, workspace.clock)
    assert all(workspace.objects.exists(found.id) for found in snapshots)


@pytest.mark.parametrize(("value", "column"), [("2", "n"), ("ADA@example.org", "mail")])
def test_numbers_are_found_by_their_text_and_letters_in_any_case_if_asked(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot], value: str, column: str
) -> None:
    found = erasing.plan(workspace.database, workspace.objects, actor, Subject(column, value), ())
    assert len(found) == (2 if column == "n" else 0)
    any_case = erasing.plan(workspace.database, workspace.objects, actor, read_subject(f"{column}={value}", any_case=True), ())
    assert len(any_case) == (2 if column == "n" else 3)


def test_labels_of_the_rows_go_and_the_others_follow(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot]
) -> None:
    definition = labels.model.Definition(
        kind=labels.model.TaskKind.BINARY, classes=(labels.model.LabelClass("no"), labels.model.LabelClass("yes")), keys=("mail",)
    )
    taken = snapshots[1]
    made = label_some(workspace, actor, definition, taken)
    erase(workspace, actor)
    Platform(workspace).loop.settle()
    left = items(workspace, "churners")
    replacement = next(item for item in left.values())[0]
    assert made == {"bob@example.org": 0, "null": 1, "ada@example.org": 2, "eve@example.org": 3}
    assert {key: row for key, (_, row) in left.items()} == {"bob@example.org": 0, "null": 1, "eve@example.org": 2}
    rows = read_snapshot(workspace.objects, replacement).to_pylist()
    assert [rows[row]["mail"] for _, row in left.values()] == ["bob@example.org", None, "eve@example.org"]
    with workspace.database.read() as tx:
        assert not [item for item in outbox.events(tx, limit=10) if item.state == "set_aside"]


def test_a_source_that_grows_goes_on_from_what_is_left(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "1.csv").write_text("n,mail\n0,ada@example.org\n1,bob@example.org\n")
    source = Source(dataset="growing", uri=f"{folder}/*.csv", mode=Mode.APPEND)
    first = ingest(workspace, actor, source).refresh
    erase(workspace, actor)
    (folder / "1.csv").write_text("n,mail\n1,bob@example.org\n")
    (folder / "2.csv").write_text("n,mail\n2,eve@example.org\n")
    second = refresh(workspace, actor, "growing").refresh
    assert not workspace.objects.exists(first.snapshot)
    mails = read_snapshot(workspace.objects, second.snapshot).column("mail").to_pylist()
    assert mails[:1] == ["bob@example.org"] and "eve@example.org" in mails and "ada@example.org" not in mails


def label_some(workspace: Workspace, actor: Principal, definition: Any, taken: Snapshot) -> dict[str, int]:
    from perenne.labels import rows, store

    found = rows.items_of(read_snapshot(workspace.objects, taken.id), ["mail"])

    def make(tx: Any) -> None:
        held = labels.model.LabelSet("churners", "churn", definition, "customers", taken.id, 1, "ada", 1, "ada")
        store.insert_set(tx, held)
        for identity, key, row in zip(found.ids, found.keys, found.rows, strict=True):
            values = {"label_set": "churners", "item": identity, "key": key, "snapshot": taken.id, "row": row, "present": True}
            rest = {
                "place": 0.0,
                "uncertainty": 0.0,
                "disagreement": 0.0,
                "suspicion": 0.0,
                "opinions": 1,
                "state": "open",
                "gold": False,
            }
            tx.execute(store.item.insert(), values | rest)
            said = {"label_set": "churners", "item": identity, "snapshot": taken.id, "value": '"yes"', "labeller": "eve"}
            tx.execute(store.label.insert(), said | {"source": "person", "role": "opinion", "note": "", "time": 1, "known": 1})

    workspace.database.write(make)
    return {key: row for key, (_, row) in items(workspace, "churners").items()}


def items(workspace: Workspace, name: str) -> dict[str, tuple[str, int]]:
    import sqlalchemy as sa

    from perenne.labels import store

    with workspace.database.read() as tx:
        query = sa.select(store.item.c.key, store.item.c.snapshot, store.item.c.row, store.item.c.item)
        found = list(tx.execute(query.where(store.item.c.label_set == name).order_by(store.item.c.row)))
        said = {row.item for row in tx.execute(sa.select(store.label.c.item))}
    assert said == {row.item for row in found}
    return {str(json.loads(row.key)[0] or "null"): (row.snapshot, row.row) for row in found}


PROGRAM = """
import sys
from pathlib import Path
from tests.dying import die_after
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import load_settings
from perenne.data.privacy import erasing
from perenne.data.privacy.planning import Subject
from perenne.storage.workspace import Workspace
settings = load_settings(Path(sys.argv[1]), {"PERENNE_DATABASE": sys.argv[3]})
with Workspace(settings, ManualClock(parse_time("2013-04-01"))) as workspace:
    workspace.database, workspace.objects
    if int(sys.argv[2]):
        die_after(int(sys.argv[2]), in_threads=True)
    actor, subject = Principal("ada", roles=frozenset(Role), solo=True), Subject("mail", "ada@example.org")
    erasing.erase(workspace.database, workspace.objects, actor, workspace.clock, subject, b"k" * 32)
"""
CALLS = (25_000, 110_000)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 80))])
def test_killed_half_way_the_next_run_finishes(
    workspace: Workspace, actor: Principal, snapshots: Sequence[Snapshot], tmp_path: Path, seed: int
) -> None:
    calls = random.Random(seed).randrange(*CALLS)
    root = Path(__file__).resolve().parents[3]
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(calls), workspace.settings.database], cwd=root, check=False
    )
    assert child.returncode in (0, -signal.SIGKILL)
    erasing.resume(workspace.database, workspace.objects, actor, workspace.clock)
    erase(workspace, actor)
    with workspace.database.read() as tx:
        assert audit.verify(tx).bad_seq is None
        assert erasure_store.unfinished(tx) == []
        done = erasure_store.newest(tx, 10)
        assert len(done) == 1
        steps = erasure_store.steps_of(tx, done[0].id)
        assert {step.state for step in steps} == {StepState.PURGED}
        assert [record.action for record in audit.trail(tx) if record.entity in ("erasure", "snapshot")].count(
            "snapshot.erase"
        ) == 3
    certificate = msgspec.json.decode(workspace.objects.get(done[0].certificate), type=Certificate)
    assert sum(item.erased for item in certificate.snapshots) == 4
    assert len(certificate.snapshots) == 3
    for digest in workspace.objects.digests():
        assert b"PAR1" not in workspace.objects.get(digest)[:4] or "ada@example.org" not in mails_of(workspace, digest)


def mails_of(workspace: Workspace, digest: str) -> list[Any]:
    found = read_snapshot(workspace.objects, digest)
    return found.column("mail").to_pylist() if "mail" in found.column_names else []


def call(workspace: Workspace, *arguments: object) -> Any:
    answer = CliRunner().invoke(data, list(map(str, arguments)), obj=workspace, standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    return answer.return_value


def test_the_command_line_shows_first_and_erases_when_told(
    workspace: Workspace, snapshots: Sequence[Snapshot], tmp_path: Path
) -> None:
    shown: Result = call(workspace, "erase", "--subject", "mail=ada@example.org")
    assert ("nothing was changed" in shown.note, len(shown.value)) == (True, 3)
    file = tmp_path / "certificate.json"
    done: Result = call(workspace, "erase", "--subject", "mail=ada@example.org", "--yes", "--certificate", file)
    assert (done.shown["snapshots"], done.shown["rows"], "backups" in done.note) == (3, 4, True)
    assert call(workspace, "erasures", "--verify", file).exit_code == 0
    assert call(workspace, "erasures", done.value.id) == file.read_text()
    assert [row["column"] for row in call(workspace, "erasures").shown] == ["mail"]
    file.write_text("{}")
    assert call(workspace, "erasures", "--verify", file).exit_code == EXIT_FINDINGS
    assert call(workspace, "erase", "--subject", "mail=ada@example.org", "--yes").note == "no snapshot holds such a row"
    assert call(workspace, "erase", "--resume").note == "nothing was left unfinished"
    with pytest.raises(NotFound):
        call(workspace, "erasures", "nothing")
