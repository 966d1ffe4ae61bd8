"""Artifacts: paths, places, what lies where, what is let go of, and what the viewer shows."""

import io
import json
from collections.abc import Callable

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, SystemClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.paging import Page
from perenne.storage.blobs import owned
from perenne.storage.workspace import Workspace
from perenne.tracking import artifact_store, artifacts, previews, service
from perenne.tracking.artifact_model import Artifact, Place, clean_path, parents
from perenne.tracking.errors import Deleted, UnknownRun
from perenne.tracking.model import Provenance

Save = Callable[..., Artifact]


@pytest.fixture
def run(workspace: Workspace, actor: Principal) -> str:
    """Open a run."""
    return workspace.database.write(
        lambda tx: service.start_run(tx, actor, project="churn", kind="try", parameters={}, provenance=Provenance())
    ).id


@pytest.fixture
def save(workspace: Workspace, actor: Principal, run: str) -> Save:
    """Put a file among the run's."""

    def save(path: str, data: bytes = b"x") -> Artifact:
        with workspace.database.read() as tx:
            place = artifacts.place_of_run(tx, actor, run, path)
        return artifacts.save(workspace, actor, place, [data])

    return save


def place_of(workspace: Workspace, actor: Principal, run: str, path: str = "") -> Place:
    with workspace.database.read() as tx:
        return artifacts.place_of_run(tx, actor, run, path)


def listed(workspace: Workspace, actor: Principal, run: str, path: str = "") -> list[tuple[str, bool, int | None]]:
    place = place_of(workspace, actor, run, path)
    with workspace.database.read() as tx:
        return [(entry.path, entry.is_dir, entry.size) for entry in artifacts.entries(tx, actor, place)]


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a\\b", "..\\x", "a\0b", "a\nb", "C:/x", "c:x",
        "file:/x", "s3://bucket/x", "a/%2e%2e/b", "a%2Fb", "a%5cb", "a%00b", "..;/x", "a#b", "a\u202eb", "\ud800",
        "x" * 256, "x/" * 600 + "x",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_is_no_path(path: str) -> None:
    with pytest.raises(Invalid, match="Invalid path"):
        clean_path(path)


@given(
    st.text(st.characters(codec="utf-8"), max_size=40)
    | st.lists(st.sampled_from(["a", "..", ".", "", "%2e%2e", "\\", "é"])).map("/".join)
)
def test_a_clean_path_stays_below_its_root(text: str) -> None:
    try:
        path = clean_path(text)
    except Invalid:
        return
    segments = path.split("/")
    assert not {"", ".", ".."} & set(segments)
    assert not set(path) & set("\\\0#")
    assert clean_path(path) == path
    assert [*parents(path), path][-1] == "/".join(segments)


def test_a_folder_lists_files_and_folders_once_by_name(workspace: Workspace, actor: Principal, run: str, save: Save) -> None:
    for path in (
        "model/MLmodel",
        "model/data/weights.bin",
        "model/data/x",
        "model.txt",
        "model-2/a",
        "größe ä.txt",
        "z/y/x/w",
        "a",
    ):
        save(path, b"12345")
    save("empty", b"")
    assert listed(workspace, actor, run) == [
        ("a", False, 5), ("empty", False, 0), ("größe ä.txt", False, 5), ("model", True, None), ("model-2", True, None),
        ("model.txt", False, 5), ("z", True, None),
    ]  # fmt: skip
    assert listed(workspace, actor, run, "model") == [("model/MLmodel", False, 5), ("model/data", True, None)]
    assert listed(workspace, actor, run, "z/y") == [("z/y/x", True, None)]
    assert listed(workspace, actor, run, "model.txt") == []
    assert listed(workspace, actor, run, "nowhere") == []


NAMES = st.lists(st.sampled_from(["a", "b", "a-", "a0", "a.", "é", "a b"]), min_size=1, max_size=3).map("/".join)


@given(st.sets(NAMES, max_size=12))
def test_a_listing_is_what_the_paths_say(paths: set[str]) -> None:
    import sqlalchemy as sa

    from perenne.storage.transaction import Transaction

    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        artifact_store.table.create(connection)
        tx = Transaction(connection)
        for number, path in enumerate(sorted(paths)):
            tx.execute(artifact_store.table.insert(), {"root": "r", "path": path, "blob": str(number), "size": 1, "modified": 1})
        for folder in {"", *paths, *(parent for path in paths for parent in parents(path))}:
            start = f"{folder}/" if folder else ""
            below = [path.removeprefix(start) for path in paths if path.startswith(start)]
            files, folders = (
                {rest for rest in below if "/" not in rest},
                {rest.partition("/")[0] for rest in below if "/" in rest},
            )
            found = artifact_store.entries(tx, "r", folder)
            assert {entry.name for entry in found if not entry.is_dir} == files
            assert [entry.name for entry in found if entry.is_dir].count("a") <= 1
            assert {entry.name for entry in found if entry.is_dir} == folders


def test_no_name_is_a_file_and_a_folder(save: Save) -> None:
    save("model/MLmodel")
    save("notes")
    with pytest.raises(Invalid, match="'model' is a folder"):
        save("model")
    with pytest.raises(Invalid, match="'notes' is a file"):
        save("notes/today/x")
    save("model-2")
    save("model.txt")


def test_what_is_replaced_is_deleted_a_day_later(workspace: Workspace, save: Save) -> None:
    first, second = save("a", b"old"), save("a", b"new")
    assert first.blob != second.blob
    assert artifacts.load(workspace.blobs, second) == b"new"
    assert artifacts.sweep(workspace) == 0
    assert artifacts.load(workspace.blobs, first) == b"old"
    assert artifacts.sweep(workspace, now=SystemClock().now() + 2 * DAY) == 1
    assert set(workspace.blobs.ids()) == {second.blob}
    assert artifacts.sweep(workspace, now=SystemClock().now() + 2 * DAY) == 0


def test_removing_a_folder_spares_its_neighbours(workspace: Workspace, actor: Principal, run: str, save: Save) -> None:
    for path in ("a/x", "a/b/y", "a0", "a-", "ab/z"):
        save(path)
    place = place_of(workspace, actor, run, "a")
    assert workspace.database.write(lambda tx: artifacts.remove(tx, actor, place)) == 2
    assert [path for path, *_ in listed(workspace, actor, run)] == ["a-", "a0", "ab"]
    with workspace.database.read() as tx:
        assert audit.trail(tx, limit=1)[0].action == "artifact.delete"
    assert workspace.database.write(lambda tx: artifacts.remove(tx, actor, place)) == 0


def test_all_of_a_run_is_let_go_of_by_its_location(workspace: Workspace, run: str, save: Save) -> None:
    save("a/x")
    save("b")
    with workspace.database.read() as tx:
        location = service.get_run(tx, run).artifact_uri
    assert workspace.database.write(lambda tx: artifacts.discard(tx, location)) == 2
    assert artifacts.sweep(workspace, now=SystemClock().now() + 2 * DAY) == 2
    assert list(workspace.blobs.ids()) == []
    assert workspace.database.write(lambda tx: artifacts.discard(tx, "s3://elsewhere/x")) == 0


def test_blobs_that_no_row_names_are_found_when_they_are_old(workspace: Workspace, save: Save) -> None:
    save("a")
    with workspace.blobs.receive() as incoming:
        incoming.write([b"left by a killed process"])
        workspace.blobs.keep(incoming)
    assert list(artifacts.orphans(workspace)) == []
    artifacts.sweep(workspace)
    artifacts.sweep(workspace)
    assert Platform(workspace).errands.drain() == 1
    assert incoming.id in set(workspace.blobs.ids())
    assert list(artifacts.orphans(workspace, now=SystemClock().now() + 2 * DAY)) == [incoming.id]


def test_a_fingerprint_changes_with_every_upload(workspace: Workspace, run: str, save: Save) -> None:
    with workspace.database.read() as tx:
        location = service.get_run(tx, run).artifact_uri
        assert artifacts.fingerprint(tx, f"{location}/model") == ""

    def now() -> str:
        with workspace.database.read() as tx:
            return artifacts.fingerprint(tx, f"{location}/model")

    save("model/a", b"1")
    first = now()
    save("other", b"2")
    assert now() == first != ""
    save("model/a", b"1")
    assert now() != first


def test_digests_are_those_of_the_bytes_and_kept(workspace: Workspace, save: Save) -> None:
    from perenne.core.hashing import digest_bytes

    kept = save("a/b", b"some bytes")
    assert kept.digest == digest_bytes(b"some bytes")
    workspace.database.write(lambda tx: artifact_store.set_digest(tx, kept.blob, None))  # type: ignore[arg-type]
    assert artifacts.digests(workspace, kept.root) == {"a/b": digest_bytes(b"some bytes")}
    with workspace.database.read() as tx:
        again = artifact_store.find(tx, kept.root, "a/b")
    assert again is not None
    assert again.digest == kept.digest


def test_an_upload_in_parts_is_there_whole_or_not_at_all(workspace: Workspace, actor: Principal, run: str) -> None:
    place = place_of(workspace, actor, run, "big.bin")
    identity = workspace.database.write(lambda tx: artifacts.begin_upload(tx, actor, place, 2))

    def part(number: int, data: bytes) -> None:
        with workspace.blobs.receive() as incoming:
            incoming.write([data])
            workspace.blobs.keep(incoming)
            with owned(workspace.blobs, incoming):
                workspace.database.write(lambda tx: artifacts.put_part(tx, actor, identity, number, incoming))

    part(2, b"second")
    with workspace.database.read() as tx, pytest.raises(Conflict, match="1 of 2 parts are missing, first part 1"):
        artifacts.parts_of(tx, actor, identity, place)
    part(1, b"wrong")
    part(1, b"first ")
    with pytest.raises(Invalid):
        part(3, b"none of it")
    with workspace.database.read() as tx:
        assert artifact_store.find(tx, place.root, place.path) is None
        blobs = artifacts.parts_of(tx, actor, identity, place)
    with workspace.blobs.receive() as whole:
        workspace.blobs.join(blobs, whole)
        workspace.blobs.keep(whole)
        workspace.database.write(lambda tx: artifacts.end_upload(tx, actor, identity, place, whole))
    with workspace.database.read() as tx:
        assert artifacts.load(workspace.blobs, artifacts.find(tx, actor, place)) == b"first second"
    with pytest.raises(NotFound):
        workspace.database.write(lambda tx: artifacts.end_upload(tx, actor, identity, place))
    artifacts.sweep(workspace, now=SystemClock().now() + 2 * DAY)
    assert set(workspace.blobs.ids()) == {whole.id}


def test_an_upload_that_never_ended_is_given_up_after_a_week(workspace: Workspace, actor: Principal, run: str) -> None:
    place = place_of(workspace, actor, run, "big.bin")
    identity = workspace.database.write(lambda tx: artifacts.begin_upload(tx, actor, place, 1))
    artifacts.sweep(workspace, now=SystemClock().now() + 6 * DAY)
    with workspace.database.read() as tx:
        artifacts.expects_part(tx, actor, identity, 1)
    artifacts.sweep(workspace, now=SystemClock().now() + 8 * DAY)
    with workspace.database.read() as tx, pytest.raises(NotFound):
        artifacts.expects_part(tx, actor, identity, 1)


def test_a_path_is_found_by_its_root_and_belongs_to_the_run(workspace: Workspace, actor: Principal, run: str) -> None:
    with workspace.database.read() as tx:
        location = service.get_run(tx, run).artifact_uri
        root = artifacts.root_of(location)
        assert root is not None
        assert artifacts.place_of(tx, actor, f"{root}/model/artifacts/x") == Place(root, "model/artifacts/x", "churn")
        assert artifacts.place_of(tx, actor, root) == Place(root, "", "churn")
        experiment = root.partition("/")[0]
        assert artifacts.place_of(tx, actor, f"{experiment}/no-such-run/artifacts/x") is None
        assert artifacts.place_of(tx, actor, f"{experiment}/models/m-none/artifacts/x") is None
        assert artifacts.place_of(tx, actor, "77/x") is None
        trace = artifacts.place_of(tx, actor, f"{experiment}/traces/tr-1/artifacts/traces.json")
        assert trace == Place(f"{experiment}/traces/tr-1/artifacts", "traces.json", "churn")


def test_what_may_not_be_seen_is_not_there_and_viewers_write_nothing(workspace: Workspace, run: str, save: Save) -> None:
    kept = save("a")
    stranger = Principal("eve", roles=frozenset({Role.CONTRIBUTOR}), projects=frozenset({"other"}))
    viewer = Principal("vic", roles=frozenset({Role.VIEWER}))
    with workspace.database.read() as tx:
        with pytest.raises(UnknownRun):
            artifacts.place_of_run(tx, stranger, run, "a")
        assert artifacts.place_of(tx, stranger, f"{kept.root}/a") is None
        place = artifacts.place_of_run(tx, viewer, run, "a")
        assert artifacts.find(tx, viewer, place) == kept
    for change in (artifacts.remove, artifacts.check):
        with pytest.raises(Denied):
            workspace.database.write(lambda tx, change=change: change(tx, viewer, place))  # type: ignore[misc]


def test_a_deleted_run_is_read_and_not_written(workspace: Workspace, actor: Principal, run: str, save: Save) -> None:
    kept = save("a")
    workspace.database.write(lambda tx: service.delete_run(tx, actor, run))
    with workspace.database.read() as tx:
        assert artifacts.find(tx, actor, artifacts.place_of_run(tx, actor, run, "a")) == kept
        with pytest.raises(Deleted):
            artifacts.place_of_run(tx, actor, run, "a", writes=True)
        with pytest.raises(Deleted):
            artifacts.place_of(tx, actor, f"{kept.root}/a", writes=True)


def seen(workspace: Workspace, artifact: Artifact, offset: int = 0, limit: int = 200) -> previews.Preview:
    return previews.preview(workspace.blobs, artifact, Page(offset, limit))


def test_texts_are_shown_as_what_they_are(workspace: Workspace, save: Save) -> None:
    assert seen(workspace, save("a.txt", "größe".encode())).text == "größe"
    assert seen(workspace, save("conf.json", b'{"a": 1}')).kind == "json"
    assert seen(workspace, save("page.html", b"<script>1</script>")).kind == "html"
    assert seen(workspace, save("plot.png", b"\x89PNG")).kind == "image"
    assert seen(workspace, save("model.pkl", b"\x80\x04\0")).kind == "binary"
    assert seen(workspace, save("latin.txt", b"gr\xf6\xdfe")).kind == "binary"
    assert seen(workspace, save("none.csv", b"")).kind == "empty"
    long = seen(workspace, save("long.log", b"x" * (previews.SHOWN - 1) + "ß".encode() * 10))
    assert (long.kind, len(long.text), long.truncated) == ("text", previews.SHOWN - 1, True)


def test_tables_are_shown_in_windows(workspace: Workspace, save: Save) -> None:
    lines = "a,b\n" + "".join(f'{n},"x, {n}"\n' for n in range(500))
    found = seen(workspace, save("t.csv", lines.encode()), 10, 2)
    assert (found.columns, found.rows) == (("a", "b"), (("10", "x, 10"), ("11", "x, 11")))
    assert (found.total, found.truncated, found.offset) == (500, True, 10)

    logged = save("t.json", json.dumps({"columns": ["a", "b"], "data": [[1, None], [2, {"x": 1}]]}).encode())
    assert seen(workspace, logged).rows == (("1", None), ("2", '{"x":1}'))

    stream = io.BytesIO()
    pq.write_table(
        pa.table({"n": range(1_000), "t": [None if n % 2 else f"é{n}" for n in range(1_000)]}), stream, row_group_size=300
    )
    kept = save("t.parquet", stream.getvalue())
    found = seen(workspace, kept, 299, 3)
    assert (found.rows, found.total) == ((("299", None), ("300", "é300"), ("301", None)), 1_000)
    assert seen(workspace, kept, 998, 200).rows == (("998", "é998"), ("999", None))
    assert seen(workspace, kept, 2_000, 200).rows == ()
    assert seen(workspace, save("bad.parquet", b"PAR1 no such thing")).kind == "binary"


def test_a_folder_is_shown_with_the_size_of_the_whole(workspace: Workspace, actor: Principal, run: str, save: Save) -> None:
    for number in range(5):
        save(f"plots/{number}", b"12")
    save("a", b"123")
    with workspace.database.read() as tx:
        found = previews.folder(tx, actor, run, "plots", Page(1, 2))
    assert [entry.name for entry in found.entries] == ["1", "2"]
    assert (found.total, found.files, found.size) == (5, 6, 13)
