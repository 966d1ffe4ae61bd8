"""Labels in order of arrival: what the detectors make of them, each label once, whatever is killed when."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth.principals import Principal
from perenne.core.clock import HOUR
from perenne.core.config import Settings
from perenne.monitoring import alert_store, store
from perenne.monitoring.events import ConceptDrifted
from perenne.monitoring.intake import collect
from perenne.monitoring.joining import join_labels
from perenne.monitoring.judge import judge_due
from perenne.monitoring.labels import LabelRow, label_table, submit_labels
from perenne.monitoring.model import Stream, Watch, WindowKey, WindowVerdict
from perenne.monitoring.performance import stream_store
from perenne.monitoring.performance.stream_store import StreamState
from perenne.monitoring.performance.streams import WARM_UP, feed
from perenne.monitoring.realising import realise
from perenne.projects import Monitoring
from perenne.stats.cells import Reference
from perenne.stats.sequential import Cusum
from perenne.storage.workspace import Workspace

STREAM = Stream(DEPLOYMENT, "champion", VERSION)


def states(workspace: Workspace) -> dict[str, StreamState]:
    with workspace.database.read() as tx:
        return {segment: state for segment, (_, state) in stream_store.states(tx, STREAM).items()}


def verdict(workspace: Workspace, window: int) -> WindowVerdict:
    with workspace.database.read() as tx:
        found = store.find_verdict(tx, WindowKey(STREAM, window * HOUR, HOUR))
    assert found is not None
    return found


def labelled(rows: Rows, ids: list[str], part: slice = slice(None)) -> list[LabelRow]:
    return [LabelRow(identity, label) for identity, label in list(zip(ids, rows.labels.tolist(), strict=True))[part]]


def play(workspace: Workspace, spool: Spool, log: Log, actor: Principal, window: int, rows: Rows, part: float = 1.0) -> None:
    """A window with its answers, and the labels of a part of them."""
    spool.leave(rows, window)
    ids = log.write(rows, window)
    submit_labels(workspace, actor, labelled(rows, ids, slice(0, int(part * len(ids)))))
    now = workspace.clock.now()
    _ = collect(workspace), realise(workspace, now), judge_due(workspace, now)


def rules(workspace: Workspace) -> set[str]:
    with workspace.database.read() as tx:
        return {alert.rule for alert in alert_store.list_alerts(tx, DEPLOYMENT) if alert.fired is not None}


def test_a_concept_that_drifts_is_announced_once_with_where_it_happened(
    workspace: Workspace, spool: Spool, log: Log, actor: Principal
) -> None:
    for window in range(5, 8):
        play(workspace, spool, log, actor, window, make_rows(500, window))
    assert events(workspace, ConceptDrifted) == []
    for window in range(8, 10):
        play(workspace, spool, log, actor, window, make_rows(500, window, flipped=True))
    (event,) = events(workspace, ConceptDrifted)
    assert (event.deployment, event.version, event.since, event.segment) == (DEPLOYMENT, VERSION, 8 * HOUR, "")
    found = verdict(workspace, 8)
    assert found.concept is not None
    assert {firing.detector for firing in found.concept.firings} == {"cusum", "adwin"}
    assert found.inside is not None and "the concept changed" in found.inside.words
    assert found.inside.feature == "wind"
    with workspace.database.read() as tx:
        (alert,) = [alert for alert in alert_store.list_alerts(tx, DEPLOYMENT) if alert.rule == "concept"]
    assert "mean loss" in alert.summary and "the concept changed" in alert.summary
    assert states(workspace)[""].labels == 2_500


def test_estimates_that_the_truth_leaves_behind_are_a_gap(workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
    play(workspace, spool, log, actor, 5, make_rows(600, 1))
    play(workspace, spool, log, actor, 6, make_rows(600, 2, flipped=True))
    well, ill = ({gap.metric: gap for gap in verdict(workspace, window).gaps} for window in (5, 6))
    assert well["accuracy"].low < 0 < well["accuracy"].high
    assert not any(gap.wide for gap in well.values())
    assert ill["accuracy"].wide and ill["roc_auc"].wide
    assert ill["accuracy"].gap == pytest.approx(ill["accuracy"].estimated - ill["accuracy"].realised)
    assert ill["accuracy"].low > ill["accuracy"].limit > 0


def test_few_labels_are_shown_and_alarm_nobody(workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
    for window in range(5, 9):
        play(workspace, spool, log, actor, window, make_rows(800, window, flipped=True), part=0.25)
    assert verdict(workspace, 8).gaps[0].rows == 200
    assert len(states(workspace)[""].firings) > 0
    assert "concept" not in rules(workspace)
    assert events(workspace, ConceptDrifted) == []


def test_a_corrected_label_is_not_a_new_one_and_segments_have_streams_of_their_own(
    workspace: Workspace, watched: Watch, spool: Spool, log: Log, actor: Principal
) -> None:
    by_carrier = msgspec.structs.replace(watched, plan=Monitoring(segments=("carrier",)))
    workspace.database.write(lambda tx: store.save_watch(tx, by_carrier))
    rows = make_rows(400, 1)
    ids = log.write(rows, 5)
    for batch in (labelled(rows, ids), [LabelRow(identity, "no") for identity in ids[:50]]):
        submit_labels(workspace, actor, batch)
        realise(workspace, workspace.clock.now())
    found = states(workspace)
    assert found[""].labels == 400
    assert found["carrier=AA"].labels == int((rows.carrier == "AA").sum())
    assert set(found) == {"", "carrier=AA", "carrier=DL", "carrier=UA"}


def test_without_a_rate_of_the_reference_the_first_labels_give_it_however_they_are_batched() -> None:
    rng = np.random.default_rng(1)
    errors = np.concatenate([rng.random(2_000) < 0.1, rng.random(1_500) < 0.2]).astype(float)
    windows = np.arange(3_500) // 500
    whole = StreamState()
    fired = feed(whole, "", errors, windows, 0, zero_one=True)
    kept, pieces = StreamState(), []
    for part in np.array_split(np.arange(3_500), 23):
        kept = msgspec.json.decode(msgspec.json.encode(kept), type=StreamState)
        pieces += feed(kept, "", errors[part], windows[part], 0, zero_one=True)
    assert kept == whole
    assert [(one.detector, one.labels, one.window) for one in pieces] == [(one.detector, one.labels, one.window) for one in fired]
    assert whole.cusum is not None
    assert whole.cusum.rate == Cusum.from_counts(int(errors[:WARM_UP].sum()), WARM_UP).rate
    assert min(one.labels for one in fired) > 2_000
    assert fired[0].before == pytest.approx(0.1, abs=0.03)
    assert fired[0].after > 0.15


# Imports once, then forks a process for every number it reads: it takes the batches in, and dies after so many calls.
NURSERY = """
import os, sys
from pathlib import Path
import msgspec, pyarrow.parquet
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import load_settings
from perenne.monitoring.joining import join_labels
from perenne.monitoring.labels import submit_labels
from perenne.monitoring.performance import streams, taking
from perenne.storage.workspace import Workspace
from tests.dying import die_after
import perenne.stats.cells, perenne.serving.log, perenne.data.fields
ADA = Principal("ada", roles=frozenset(Role))
folder = Path(sys.argv[1])
batches = [pyarrow.parquet.read_table(path) for path in sorted((folder / "batches").iterdir())]
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        clock = ManualClock(parse_time("2013-04-01"))
        with Workspace(load_settings(folder, dict(os.environ)), clock) as workspace:
            die_after(int(line))
            for batch in batches:
                submit_labels(workspace, ADA, batch)
                join_labels(workspace, clock.now())
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def kills(workspace: Workspace, settings: Settings, log: Log, reference: Reference, seed: int, times: int) -> None:
    """Take twelve batches in by processes that die; in the end every label has been counted once, in order."""
    folder, rng = settings.home.parent, random.Random(seed)
    rows = make_rows(360, seed)
    ids = log.write(rows, 5)
    (folder / "batches").mkdir()
    table = label_table(labelled(rows, ids), workspace.clock.now())
    for number in range(12):
        pq.write_table(table.slice(30 * number, 30), folder / "batches" / f"{number:02d}.parquet")
    died = 0
    command = [sys.executable, "-c", NURSERY, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        for calls in [rng.randrange(1, 40_000) for _ in range(times)] + [1 << 40]:
            nursery.stdin.write(f"{calls}\n")
            died += os.waitstatus_to_exitcode(int(nursery.stdout.readline())) == -signal.SIGKILL
        nursery.stdin.close()
    assert died > times // 4
    join_labels(workspace, workspace.clock.now())
    expected = StreamState()
    assert reference.outcomes is not None
    expected.cusum = Cusum.from_counts(round(reference.outcomes.loss * reference.outcomes.rows), reference.outcomes.rows)
    wrong = (rows.labels != np.where(rows.predictions == 1, "yes", "no")).astype(float)
    feed(expected, "", wrong, np.full(360, 5 * HOUR), workspace.clock.now(), zero_one=True)
    assert states(workspace)[""] == expected


def test_killed_at_any_moment_every_label_counts_once_and_in_order(
    workspace: Workspace, settings: Settings, watched: Watch, log: Log, reference: Reference
) -> None:
    kills(workspace, settings, log, reference, 3, times=10)


@pytest.mark.long
def test_killed_many_times_every_label_counts_once_and_in_order(
    workspace: Workspace, settings: Settings, watched: Watch, log: Log, reference: Reference
) -> None:
    kills(workspace, settings, log, reference, 4, times=500)
