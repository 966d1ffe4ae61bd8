"""The observer, step by step in the test's own process: what it keeps, and what it makes of what goes wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.serving.packages import FIELDS, ReleaseFolder, flights
from tests.serving.test_mirror import served

from perenne.core.clock import HOUR
from perenne.formats.windows import WindowPost, decode_window
from perenne.inference import load
from perenne.serving import read_predictions
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import Served, pack_columns, pack_message, served_encoder
from perenne.serving.model import Role
from perenne.serving.observer import Observer
from perenne.serving.options import Flush, ObserverOptions, flush_decoder, socket_pair


class Observed:
    """An observer with one wire, and the parent's end of its control wire."""

    def __init__(self, folder: Path, root: Path, *waiting: Served) -> None:
        self.root = root
        self.wire, theirs = socket_pair()
        self.control, control = socket_pair()
        self.counters = Counters.create(2)
        options = ObserverOptions(
            folder=str(folder),
            logs=str(root / "logs"),
            spool=str(root / "spool"),
            wires=(theirs.detach(),),
            control=control.detach(),
            counters=self.counters.handle,
        )
        self.send(*waiting)
        self.observer = Observer(options)
        self.observer.step(0)

    def send(self, *messages: Served) -> None:
        for message in messages:
            self.wire.send(pack_message(self.counters.get(Gauge.SENT_ROWS, 0), served_encoder.encode(message)))
            self.counters.add(Gauge.SENT_ROWS, message.rows)

    def flush(self) -> list[WindowPost]:
        self._flush()
        if any(challenger.busy for challenger in self.observer.shadows.challengers):
            # A flush waits for seconds only, and challengers are niced: a busy machine starves them.
            self.observer.shadows.wait(120)
            self._flush()
        return [decode_window(path.read_bytes()) for path in sorted((self.root / "spool").rglob("*.post"))]

    def _flush(self) -> None:
        self.control.send(msgspec.msgpack.encode(Flush("now")))
        assert self.observer.step(1)
        assert flush_decoder.decode(self.control.recv(100)).token == "now"

    def close(self) -> None:
        self.wire.close()
        self.control.close()
        assert not self.observer.step(1), "the parent is gone"
        self.observer.close()
        os.close(self.counters.handle)


@pytest.fixture
def observed(release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path) -> Iterator[Observed]:
    release.write(
        release.add(packages["first"], 1),
        release.add(packages["second"], 2, Role.CHALLENGER),
        release.add(packages["regression"], 3, Role.CHALLENGER),
    )
    running = Observed(release.folder, tmp_path)
    yield running
    running.close()


def answered(packages: dict[str, Path], release: ReleaseFolder, rows: int, **changes: object) -> Served:
    """A message as a worker sends it after the champion answered."""
    table = flights(rows)
    prediction = load(packages["first"]).predict(table)
    assert prediction.scores is not None
    tree = release.add(packages["first"], 1).tree
    whole = msgspec.structs.replace(
        served(rows),
        tree=tree,
        columns=pack_columns(table, FIELDS),
        predictions=prediction.predictions.tobytes(),
        scores=prediction.scores.tobytes(),
    )
    return msgspec.structs.replace(whole, **changes)


def test_failed_requests_are_counted_and_logged_and_do_not_hide_their_neighbours(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    good = answered(packages, release, 5)
    bad = msgspec.structs.replace(good, request_id="bad", status=500, predictions=b"", scores=b"")
    observed.send(good, bad, good)
    champions = [post for post in observed.flush() if post.variant == "champion"]
    assert sum(post.rows for post in champions) == 10 and sum(post.errors for post in champions) == 1
    assert sum(sum(post.latency) for post in champions) == 3
    rows = read_predictions(observed.root / "logs", variant="champion").to_pylist()
    assert sorted((row["status"], row["prediction"] is None) for row in rows) == [(200, False)] * 10 + [(500, True)] * 5


def test_a_constants_rows_are_logged_and_in_no_profile(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    empty = {"predictions": b"", "scores": b"", "role": "constant", "reason": "stopped", "answer": "on time"}
    observed.send(answered(packages, release, 4, **empty))
    assert observed.flush() == []
    rows = read_predictions(observed.root / "logs").to_pylist()
    assert [(row["variant"], row["prediction"], row["reason"]) for row in rows] == [("constant", "on time", "stopped")] * 4


def test_a_challenger_that_takes_inputs_nobody_sends_is_not_in_shadow(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    assert [challenger.variant.version for challenger in observed.observer.shadows.challengers] == ["late@2"]
    assert observed.counters.total(Gauge.CHALLENGER_ERRORS) == 1
    observed.send(answered(packages, release, 5))
    assert {(post.variant, post.version, post.rows) for post in observed.flush()} == {
        ("champion", "late@1", 5),
        ("challenger", "late@2", 5),
    }


def test_what_cannot_be_kept_costs_only_itself(observed: Observed, packages: dict[str, Path], release: ReleaseFolder) -> None:
    observed.wire.send(b"\xc1 not a message")
    good = answered(packages, release, 3)
    observed.send(msgspec.structs.replace(good, tree="0" * 64), good)
    assert sum(post.rows for post in observed.flush() if post.variant == "champion") == 3


def test_what_lay_on_the_wire_when_it_started_is_kept(release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path) -> None:
    release.write(release.add(packages["first"], 1), release.add(packages["second"], 2, Role.CHALLENGER))
    message = answered(packages, release, 3)
    running = Observed(release.folder, tmp_path, message)
    assert {(post.variant, post.rows) for post in running.flush()} == {("champion", 3), ("challenger", 3)}
    running.close()


def test_a_parent_that_goes_without_reading_the_reply_costs_no_row(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path
) -> None:
    release.write(release.add(packages["first"], 1))
    running = Observed(release.folder, tmp_path)
    running.control.send(msgspec.msgpack.encode(Flush("unread")))
    assert running.observer.step(1)
    running.send(answered(packages, release, 3))
    running.close()
    assert read_predictions(tmp_path / "logs").num_rows == 3


def test_rows_fall_into_the_windows_of_their_own_time(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    times = [HOUR * 5 - 1, HOUR * 5, HOUR * 6 - 1, HOUR * 3]
    observed.send(*(answered(packages, release, 2, event_time=time) for time in times))
    posts = [post for post in observed.flush() if post.variant == "champion"]
    assert {(post.window_start // HOUR, post.rows, post.first, post.last) for post in posts} == {
        (3, 2, HOUR * 3, HOUR * 3),
        (4, 2, HOUR * 5 - 1, HOUR * 5 - 1),
        (5, 4, HOUR * 5, HOUR * 6 - 1),
    }
    assert len({post.sequence for post in posts}) == 3 and len({post.boot for post in posts}) == 1
    assert np.sum([post.latency for post in posts]) == 4
