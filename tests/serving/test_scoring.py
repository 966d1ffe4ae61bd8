"""Batch scoring: files of every form, rows that cannot be read, kills at any point, and the same bytes at the end."""

import csv as plain_csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.serving.packages import FIELDS, NUMBERS, flights, numbers

from perenne.auth.principals import Principal
from perenne.core.clock import parse_time
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError
from perenne.core.ids import is_id, time_of_id
from perenne.core.results import EXIT_FINDINGS
from perenne.data import take_snapshot
from perenne.inference import load
from perenne.registry import Evidence, GatePolicy, Verdict, service, trust
from perenne.serving import read_predictions, release
from perenne.serving import service as deployments
from perenne.serving.scoring.running import Scored, Summary, Wish, find, score
from perenne.serving.scoring_commands import score_
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

AT = parse_time("2027-01-01")


def scored(package: Path) -> Scored:
    return Scored(package, "", "late@1", False)


def table(rows: int = 1_000, seed: int = 5) -> pa.Table:
    columns = flights(rows, seed)
    seconds = columns.pop("scheduled")
    weekend = [None if value is None else value == "true" for value in columns.pop("weekend")]
    times = pa.array((seconds * 1e6).astype(np.int64), pa.timestamp("us"))
    more = {"scheduled": times, "weekend": pa.array(weekend), "seats": columns.pop("seats").astype(np.int64)}
    return pa.table({"id": [f"f{row}" for row in range(rows)], **columns, **more})


def write(path: Path, rows: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=170)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            writer = plain_csv.writer(stream)
            writer.writerow(rows.column_names)
            for row in rows.to_pylist():
                texts = (value.isoformat() + "Z" if hasattr(value, "isoformat") else value for value in row.values())
                writer.writerow(["" if text is None else text for text in texts])
    else:
        path.write_text(
            "".join(json.dumps(row, default=lambda value: value.isoformat() + "Z") + "\n" for row in rows.to_pylist())
        )
    return path


def run(package: Path, source: Path, target: Path, **wished: Any) -> tuple[Summary, list[Any]]:
    return score(scored(package), source, target, Wish(**{"part_rows": 300, "at": AT, "keep": ("id",), **wished}))


def expected(package: Path, rows: int = 1_000) -> Any:
    return load(package).predict(flights(rows, 5))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_row_of_a_file_is_answered_as_alone(packages: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    summary, aside = run(packages["first"], write(tmp_path / f"in{suffix}", table()), tmp_path / "out.parquet")
    assert (summary.rows, summary.aside, summary.parts, summary.resumed, aside) == (1_000, 0, 4, 0, [])
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["row", "id", "prediction", "p_on time", "p_late", "prediction_id", "version"]
    assert out.column("row").to_pylist() == list(range(1, 1_001)) and out.column("id")[999].as_py() == "f999"
    prediction = expected(packages["first"])
    assert np.allclose(out.column("p_late").to_numpy(), prediction.scores[:, 1], atol=1e-6)
    assert out.column("prediction").to_pylist() == [("on time", "late")[answer] for answer in prediction.predictions]
    ids = out.column("prediction_id").to_pylist()
    assert len(set(ids)) == 1_000 and all(is_id(str(name).partition("-")[0]) for name in ids) and time_of_id(str(ids[0])) == AT
    assert [path.name for path in tmp_path.iterdir() if "scoring" in path.name or "incoming" in path.name] == []


def test_every_form_of_output_says_the_same(packages: dict[str, Path], tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", table(400))
    for suffix in (".parquet", ".csv", ".jsonl"):
        run(packages["first"], source, tmp_path / f"out{suffix}")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    with (tmp_path / "out.csv").open(newline="") as stream:
        texts = list(plain_csv.DictReader(stream))
    assert [{**row, "prediction_id": 0} for row in lines] == [{**row, "prediction_id": 0} for row in rows]
    assert [row["prediction"] for row in texts] == [row["prediction"] for row in rows]
    assert [float(row["p_late"]) for row in texts] == [row["p_late"] for row in rows]


def test_folders_are_read_file_by_file(packages: dict[str, Path], tmp_path: Path) -> None:
    rows = table(700)
    write(tmp_path / "in" / "b.csv", rows.slice(400))
    write(tmp_path / "in" / "a.parquet", rows.slice(0, 400))
    summary, _ = run(packages["first"], tmp_path / "in", tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert summary.rows == 700 and [line["id"] for line in lines] == [f"f{row}" for row in range(700)]
    assert [line["row"] for line in lines[399:401]] == [400, 1]


def test_numbers_are_predicted_as_numbers(packages: dict[str, Path], tmp_path: Path) -> None:
    columns = numbers(50, 3)
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    run(packages["regression"], tmp_path / "in.parquet", tmp_path / "out.parquet", keep=())
    out = pq.read_table(tmp_path / "out.parquet")
    assert np.allclose(out.column("prediction").to_numpy(), load(packages["regression"]).predict(columns).predictions)
    assert out.column_names == ["row", "prediction", "prediction_id", "version"] and len(NUMBERS) == 3


def test_rows_that_cannot_be_read_are_set_aside_with_their_reason(packages: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", table(1_000))
    lines = path.read_text().splitlines()
    lines[5] += ",one too many"
    lines[400] = lines[400].replace(lines[400].split(",")[1], "far away")
    lines[700] = "f699"
    path.write_text("\n".join(lines) + "\n")
    summary, aside = run(packages["first"], path, tmp_path / "out.parquet")
    assert (summary.rows, summary.aside) == (997, 3)
    assert [(item.row, item.reason) for item in aside] == [
        (5, "it has 7 values, not 6"), (400, "column 'distance': expected a number"), (700, "it has 1 values, not 6"),
    ]  # fmt: skip
    places = pq.read_table(tmp_path / "out.parquet").column("row").to_pylist()
    assert places == [row for row in range(1, 1_001) if row not in (5, 400, 700)]


def test_lines_that_are_no_json_are_set_aside(packages: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", table(50))
    lines = path.read_text().splitlines()
    lines[3], lines[7] = "{not json", "[1, 2]"
    lines[9] = lines[9].replace('"scheduled": "', '"scheduled": "not ')
    path.write_text("\n".join(lines))
    summary, aside = run(packages["first"], path, tmp_path / "out.parquet")
    assert summary.rows == 47 and [item.row for item in aside] == [4, 8, 10]
    assert summary.reasons == {"it is no JSON object": 2, "column 'scheduled': expected a time": 1}


def test_several_processes_write_the_same_bytes(packages: dict[str, Path], tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", table(900))
    run(packages["first"], source, tmp_path / "one.parquet", part_rows=100)
    run(packages["first"], source, tmp_path / "two.parquet", part_rows=100, workers=2)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


PROGRAM = """
import sys
from pathlib import Path
from tests.serving.test_scoring import run
package, source, target, workers = sys.argv[1:]
run(Path(package), Path(source), Path(target), part_rows=50, workers=int(workers))
"""


def killed_and_resumed(package: Path, folder: Path, suffix: str, kills: int, workers: int, seed: int) -> int:
    """Kill a scoring at random moments until it ends; return how often it was killed."""
    dice = random.Random(seed)
    source = write(folder / "in.csv", table(1_500))
    undisturbed, target = folder / f"undisturbed{suffix}", folder / f"out{suffix}"
    run(package, source, undisturbed, part_rows=50)
    command = [sys.executable, "-c", PROGRAM, str(package), str(source), str(target), str(workers)]
    killed = 0
    while killed < kills:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True)
        parts = folder / f".out{suffix}.scoring"
        before = len(list(parts.glob("part-*.json"))) if parts.exists() else 0
        wanted = before + dice.randint(0, 4)
        while process.poll() is None and len(list(parts.glob("part-*.json"))) < wanted:
            time.sleep(0.001)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        assert not target.exists() or target.read_bytes() == undisturbed.read_bytes(), "never half a file under the final name"
    summary, _ = (None, None) if target.exists() and not parts.exists() else run(package, source, target, part_rows=50)
    assert target.read_bytes() == undisturbed.read_bytes(), f"seed {seed}"
    assert summary is None or killed == 0 or summary.rows == 1_500
    return killed


def test_what_was_killed_goes_on_and_ends_with_the_same_bytes(packages: dict[str, Path], tmp_path: Path) -> None:
    assert killed_and_resumed(packages["first"], tmp_path, ".parquet", 1, 2, random.SystemRandom().randrange(10**9)) > 0


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_what_was_killed_many_times(packages: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    for number in range(20):
        seed = random.SystemRandom().randrange(10**9)
        print(f"seed {seed}")
        folder = tmp_path / str(number)
        folder.mkdir()
        killed_and_resumed(packages["first"], folder, suffix, 8, 1 + number % 2, seed)
        shutil.rmtree(folder)


def test_another_scoring_in_the_same_place_is_refused(packages: dict[str, Path], tmp_path: Path) -> None:
    source, target = write(tmp_path / "in.csv", table(100)), tmp_path / "out.csv"
    run(packages["first"], source, target)
    with pytest.raises(Conflict, match="is there already"):
        run(packages["first"], source, target, restart=True)
    run(packages["first"], source, target, restart=True, replace=True)
    other = write(tmp_path / "other.csv", table(100, 6))
    with pytest.raises(Conflict, match="is there already"):
        run(packages["first"], other, target, restart=True)
    with pytest.raises(Conflict, match="another scoring was begun"):
        run(packages["first"], source, target, replace=True)


@pytest.mark.parametrize(
    ("make", "wished", "said"),
    [
        (lambda folder: folder / "absent.csv", {}, "there is no"),
        (lambda folder: write_text(folder / "in.xlsx", "x"), {}, "of no kind"),
        (lambda folder: write_text(folder / "in.csv", "a,b\n1,2\n"), {}, "has no column"),
        (lambda folder: write_text(folder / "in.csv", "a,a\n1,2\n"), {}, "two columns of one name"),
        (lambda folder: write_text(folder / "in.parquet", "PAR1 cut off"), {}, "is broken"),
        (lambda folder: write_text(folder / "in.jsonl", ""), {}, "no rows"),
        (lambda folder: write(folder / "in.csv", table(10)), {"keep": ("prediction",)}, "column of the output"),
        (lambda folder: write(folder / "in.csv", table(10)), {"keep": ("nothing",)}, "has no column 'nothing'"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_words(
    packages: dict[str, Path], tmp_path: Path, make: Any, wished: dict[str, Any], said: str
) -> None:
    with pytest.raises(PerenneError, match=said):
        run(packages["first"], make(tmp_path), tmp_path / "out.csv", **wished)
    assert not (tmp_path / "out.csv").exists()


def test_a_name_without_a_format_is_refused(packages: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="tells no format"):
        run(packages["first"], write(tmp_path / "in.csv", table(10)), tmp_path / "out")


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def command(workspace: Workspace, *words: str) -> tuple[Any, int]:
    done = CliRunner().invoke(score_, list(words), obj=workspace, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value.value, done.return_value.exit_code


def test_a_version_scores_files_snapshots_and_queries(
    workspace: Workspace, actor: Principal, packages: dict[str, Path], tmp_path: Path
) -> None:
    import sqlite3

    tree = put_tree(workspace.objects, packages["first"])
    version = workspace.database.write(
        lambda tx: service.register(
            tx, actor, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(("auc",)), evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
        )
    )  # fmt: skip
    rows = table(200)
    snapshot = take_snapshot(workspace.database, workspace.objects, actor, rows, dataset="flights")
    with sqlite3.connect(tmp_path / "shop.db") as database:
        plain = rows.set_column(rows.column_names.index("scheduled"), "scheduled", rows.column("scheduled").cast(pa.string()))
        plain = plain.set_column(plain.column_names.index("weekend"), "weekend", plain.column("weekend").cast(pa.string()))
        database.execute(f"create table flights ({', '.join(plain.column_names)})")
        database.executemany(
            f"insert into flights values ({', '.join('?' * plain.num_columns)})", zip(*plain.to_pydict().values(), strict=True)
        )
    asked = [
        (str(write(tmp_path / "in.csv", rows)), []),
        (f"snapshot:{snapshot.id}", []),
        (f"sqlite:{tmp_path / 'shop.db'}", ["--query", "select * from flights order by rowid"]),
    ]
    answered = []
    for number, (source, more) in enumerate(asked):
        target = tmp_path / f"out{number}.parquet"
        summary, code = command(workspace, version.id, source, "--to", str(target), "--keep", "id", *more)
        assert code == 0 and summary.rows == 200 and summary.version == "late@1"
        answered.append(pq.read_table(target).select(["id", "prediction", "p_late"]))
    assert answered[0] == answered[1] == answered[2]
    with pytest.raises(NotFound):
        find(workspace, "nobody", tmp_path)


def test_the_command_says_what_was_set_aside(workspace: Workspace, packages: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", table(20))
    path.write_text(path.read_text().replace("f3,", "f3,x,", 1))
    words = [str(packages["first"]), str(path), "--to", str(tmp_path / "out.csv"), "--errors", str(tmp_path / "errors.jsonl")]
    summary, code = command(workspace, *words)
    assert code == EXIT_FINDINGS and summary.aside == 1
    assert json.loads((tmp_path / "errors.jsonl").read_text()) == {"file": "in.csv", "row": 4, "reason": "it has 7 values, not 6"}
    assert command(workspace, *words, "--replace", "--allow-errors")[1] == 0


def test_a_version_that_is_not_signed_as_asked_does_not_score(
    workspace: Workspace, actor: Principal, packages: dict[str, Path], tmp_path: Path
) -> None:
    tree = put_tree(workspace.objects, packages["first"])
    version = workspace.database.write(
        lambda tx: service.register(
            tx, actor, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(),
        )
    )  # fmt: skip
    workspace.database.write(lambda tx: trust.state_policy(tx, actor, demand="on"))
    with pytest.raises(Conflict, match="unsigned"):
        find(workspace, version.id, tmp_path)
    trust.sign(workspace, actor, version.id)
    assert find(workspace, version.id, tmp_path).version == version.id and len(FIELDS) == 5


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_a_batch_is_seen_by_monitoring_as_live_traffic_is(
    workspace: Workspace, actor: Principal, packages: dict[str, Path], tmp_path: Path
) -> None:
    tree = put_tree(workspace.objects, packages["first"])
    version = workspace.database.write(
        lambda tx: service.register(
            tx, actor, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(),
        )
    )  # fmt: skip
    release(workspace, workspace.database.write(lambda tx: deployments.deploy(tx, actor, "delays", version.id)))
    source = str(write(tmp_path / "in.csv", table(300)))
    words = ["delays", source, "--to", str(tmp_path / "out.parquet"), "--log", "--time", "scheduled", "--at", "2027-01-01"]
    summary, code = command(workspace, *words, "--part-rows", "120")
    assert code == 0 and summary.logged == 300
    ids = [str(name) for name in pq.read_table(tmp_path / "out.parquet").column("prediction_id").to_pylist()]
    logged = read_predictions(workspace.settings.logs, ids)
    rows = {f"{row['request_id']}-{row['row']}": row for row in logged.to_pylist()}
    assert rows.keys() == set(ids)
    seconds = table(300).column("scheduled").cast(pa.int64()).to_pylist()
    assert round(rows[ids[7]]["event_time"].timestamp() * 1e6) == seconds[7]
    assert list((workspace.settings.spool).glob("*")), "the windows are there for the control plane"
    with pytest.raises(Invalid, match="monitoring knows deployments"):
        command(workspace, version.id, source, "--to", str(tmp_path / "other.parquet"), "--log")
