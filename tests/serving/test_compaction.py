"""Compaction: an hour's parts become one file; whoever reads meanwhile, and whoever is killed, sees each row once."""

import importlib
import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.dying import die_after
from tests.serving.test_row_log import NOON, log

from perenne.core.clock import DAY, HOUR
from perenne.serving import compaction as compacting
from perenne.serving import log as reading
from perenne.serving import log_parts, read_predictions
from perenne.serving.compaction import CLOSED_AFTER, Compactor, compact
from perenne.serving.retention import Retention
from perenne.serving.row_log import hour_folder


def fill(folder: Path, packages: dict[str, Path], parts: int, first: int = 0) -> list[str]:
    """Log some parts of two rows, a millisecond apart; return the prediction ids."""
    return [
        identity for part in range(first, first + parts) for identity in log(folder, packages["first"], [NOON + part * 1_000])
    ]


def age(folder: Path) -> None:
    """Let the compacted files of a folder be two minutes old."""
    for path in folder.glob("hour-*.parquet"):
        os.utime(path, (time.time() - 120, time.time() - 120))


def ids(logs: Path) -> list[str]:
    return [str(found) for found in read_predictions(logs, columns=["prediction_id"])["prediction_id"].to_pylist()]


def test_the_parts_of_an_hour_become_one_file_with_the_same_rows(packages: dict[str, Path], tmp_path: Path) -> None:
    written = fill(tmp_path, packages, 6)
    folder, before = hour_folder(tmp_path, "late@1", NOON), read_predictions(tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert not compact(folder)
    assert read_predictions(tmp_path).equals(before) and ids(tmp_path) == written
    assert len(list(folder.glob("part-*"))) == 6, "for a while the parts stay, for readers that listed them"
    assert not compact(folder)
    age(folder)
    assert compact(folder) and compact(folder)
    (whole,) = folder.iterdir()
    assert read_predictions(tmp_path).equals(before)
    assert read_predictions(tmp_path, [written[7], written[2]]).num_rows == 2
    (parts,) = log_parts(tmp_path, "late@1")
    assert [part.name for part in parts] == names and all(part.path == whole for part in parts)
    found = [row["prediction_id"] for part in parts for row in part.read(["prediction_id", "nothing"]).to_pylist()]
    assert found == written


def test_parts_that_come_late_are_joined_to_what_was_compacted(packages: dict[str, Path], tmp_path: Path) -> None:
    written = fill(tmp_path, packages, 3)
    folder = hour_folder(tmp_path, "late@1", NOON)
    compact(folder)
    written += fill(tmp_path, packages, 2, 3)
    names = [part.name for (parts) in log_parts(tmp_path, "late@1") for part in parts]
    compact(folder)
    assert ids(tmp_path) == written
    age(folder)
    compact(folder)
    assert ids(tmp_path) == written and len(list(folder.iterdir())) == 1
    (parts,) = log_parts(tmp_path, "late@1")
    assert sorted(part.name for part in parts) == sorted(names) and sum(part.rows or 0 for part in parts) == len(written)


def test_a_part_of_a_large_file_is_read_without_the_others(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fill(tmp_path, packages, 9)
    monkeypatch.setattr(compacting, "_ROWS", 4)
    compact(hour_folder(tmp_path, "late@1", NOON))
    (parts,) = log_parts(tmp_path, "late@1")
    assert pq.ParquetFile(parts[0].path).num_row_groups == 5
    assert [[row["prediction_id"] for row in part.read(["prediction_id"]).to_pylist()] for part in parts] == [
        written[start : start + 2] for start in range(0, 18, 2)
    ]


def test_only_hours_that_are_over_are_compacted(packages: dict[str, Path], tmp_path: Path) -> None:
    log(tmp_path, packages["first"], [NOON, NOON + HOUR])
    log(tmp_path, packages["first"], [NOON + 1, NOON + HOUR + 1])
    earlier, later = (hour_folder(tmp_path, "late@1", hour) for hour in (NOON, NOON + HOUR))
    Compactor(tmp_path).work(NOON + HOUR + CLOSED_AFTER)
    assert list(earlier.glob("hour-*")) and not list(later.glob("hour-*"))


def test_a_damaged_part_keeps_its_hour_as_it_is_and_no_other(packages: dict[str, Path], tmp_path: Path) -> None:
    log(tmp_path, packages["first"], [NOON, NOON + HOUR])
    log(tmp_path, packages["first"], [NOON + 1, NOON + HOUR + 1])
    later, earlier = (hour_folder(tmp_path, "late@1", hour) for hour in (NOON + HOUR, NOON))
    sorted(later.iterdir())[0].write_bytes(b"PAR1 no")
    Compactor(tmp_path).work(NOON + 3 * HOUR)
    assert list(earlier.glob("hour-*")) and len(list(later.iterdir())) == 2


def test_of_two_that_compact_at_once_one_does(packages: dict[str, Path], tmp_path: Path) -> None:
    written = fill(tmp_path, packages, 8)
    folder = hour_folder(tmp_path, "late@1", NOON)
    threads = [threading.Thread(target=compact, args=(folder,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(folder.glob("hour-*"))) == 1 and ids(tmp_path) == written


def test_an_hour_is_read_in_time_that_grows_with_what_is_new(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real: Callable[..., object] = pq.read_table

    def read_table(path: Path, **options: object) -> object:
        opened.append(path)
        return real(path, **options)

    monkeypatch.setattr(pq, "read_table", read_table)
    for turn in range(12):
        fresh = fill(tmp_path, packages, 1, turn)
        assert read_predictions(tmp_path, fresh).num_rows == 2
    assert len(opened) == 12, "only the part that holds the ids is opened each time"


def test_a_reader_from_whom_a_part_is_removed_reads_anew(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fill(tmp_path, packages, 4)
    folder = hour_folder(tmp_path, "late@1", NOON)
    compact(folder)
    listed = sorted(folder.glob("part-*"))
    real, lists = reading.hour_files, [listed]

    def hour_files(where: Path) -> list[Path]:
        if lists:  # the first time, as it was before the compaction; then the parts go
            age(folder)
            compact(folder)
            return lists.pop()
        return real(where)

    monkeypatch.setattr(reading, "hour_files", hour_files)
    assert ids(tmp_path) == written and not lists


def kill_compactions(packages: dict[str, Path], folder: Path, rounds: int, seed: int) -> None:
    """Kill compactions at random points while parts are added; each time every row must be seen once."""
    importlib.import_module("perenne.serving.compaction")
    print(f"seed {seed}")
    dice = random.Random(seed)
    written = fill(folder, packages, 4)
    hour, killed = hour_folder(folder, "late@1", NOON), 0
    for turn in range(rounds):
        if dice.random() < 0.4:
            written += fill(folder, packages, dice.randint(1, 2), len(written))
        age(hour)
        pid = os.fork()
        if pid == 0:
            die_after(dice.randint(1, 3_000))
            try:
                compact(hour)
            finally:
                os._exit(0)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        assert sorted(ids(folder)) == sorted(written), f"seed {seed}, turn {turn}"
    age(hour)
    while not compact(hour):
        age(hour)
    assert sorted(ids(folder)) == sorted(written) and len(list(hour.glob("[!.]*"))) == 1 and killed


def test_killed_at_any_point_it_leaves_every_row_once(packages: dict[str, Path], tmp_path: Path) -> None:
    kill_compactions(packages, tmp_path, 25, random.SystemRandom().randrange(10**9))


@pytest.mark.long
def test_killed_at_any_point_it_leaves_every_row_once_hundreds_of_times(packages: dict[str, Path], tmp_path: Path) -> None:
    kill_compactions(packages, tmp_path, 400, random.SystemRandom().randrange(10**9))


def test_rows_are_read_whole_while_they_are_compacted(packages: dict[str, Path], tmp_path: Path) -> None:
    written = fill(tmp_path, packages, 6)
    folder, done = hour_folder(tmp_path, "late@1", NOON), threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not done.is_set():
            found = ids(tmp_path)
            if found != written:
                seen.append(json.dumps(found))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(12):
        compact(folder)
        age(folder)
    done.set()
    reader.join()
    assert not seen


def test_rows_that_are_kept_no_longer_go_and_those_of_others_stay(packages: dict[str, Path], tmp_path: Path) -> None:
    old, new = (log(tmp_path, packages["first"], [NOON + shift]) for shift in (0, 2 * DAY))
    others = log(tmp_path, packages["regression"], [NOON], version="cost@1")
    (folder,) = (tmp_path / "inference").glob("model=cost/*/*/*")
    table = pq.read_table(next(folder.glob("*.parquet")), partitioning=None)
    pq.write_table(
        table.set_column(table.column_names.index("deployment"), "deployment", pa.array(["other"] * table.num_rows)),
        next(folder.glob("*.parquet")),
    )
    retention = Retention(tmp_path, lambda: ("delays", DAY))
    retention.work(NOON + DAY)
    left = {"old": (old, "late@1"), "new": (new, "late@1"), "others": (others, "cost@1")}

    def rows() -> dict[str, int]:
        return {name: read_predictions(tmp_path, ids, version=version).num_rows for name, (ids, version) in left.items()}

    assert rows() == {"old": 2, "new": 2, "others": 2}, "its hour is over for less than a day"
    retention.work(NOON + 2 * DAY)
    assert rows() == {"old": 0, "new": 2, "others": 2}
    assert not list((tmp_path / "inference").glob("model=late/*/date=2013-05-01")), "nor is an empty folder left"
