"""Likely label errors: planted ones are found, the ranking is by confidence, and cleanlab agrees where it is at hand."""

import os
import subprocess

import msgspec
import numpy as np
import pytest

from perenne.stats.mislabelled import find_suspects


def planted(rows: int = 3_000, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a model that is mostly right, and five in a hundred labels that are wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    p = random.dirichlet(np.ones(classes), rows) * 0.6
    p[np.arange(rows), truth] += 0.4
    wrong = random.random(rows) < 0.05
    return np.where(wrong, (truth + 1) % classes, truth), p / p.sum(1, keepdims=True), wrong


def test_planted_errors_come_first() -> None:
    labels, p, wrong = planted()
    found = find_suspects(labels, p)
    first = wrong[found.rows[: wrong.sum()]]
    assert first.mean() > 0.8 and len(found.rows) > 0.5 * wrong.sum() and wrong[found.rows].mean() > 0.8
    assert (np.diff(found.quality[found.rows]) >= 0).all()
    assert found.joint.sum() <= len(labels) and np.trace(found.joint) > 0.8 * found.joint.sum()


def test_clean_labels_and_few_rows_are_left_alone() -> None:
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert find_suspects([0, 1], p).rows.tolist() == []
    assert find_suspects([], np.zeros((0, 2))).rows.tolist() == []
    assert find_suspects([0, 0], np.array([[0.9, 0.1], [0.1, 0.9]])).rows.tolist() == []  # nobody knows how sure of 1 is sure


@pytest.mark.long
@pytest.mark.skipif("PERENNE_CLEANLAB" not in os.environ, reason="PERENNE_CLEANLAB names no Python that has cleanlab")
def test_cleanlab_suspects_the_same_in_the_same_order() -> None:
    for seed in range(5):
        labels, p, _ = planted(800, 4, seed)
        program = (
            "import json,sys; import numpy as np; from cleanlab.filter import find_label_issues; from cleanlab.rank import "
            "get_label_quality_scores as q; d=json.load(sys.stdin); l,p=np.array(d['l']),np.array(d['p']); "
            "print(json.dumps([find_label_issues(l,p,filter_by='confident_learning',return_indices_ranked_by='self_confidence',"
            "n_jobs=1).tolist(), q(l,p,method='self_confidence').tolist()]))"
        )
        asked = msgspec.json.encode({"l": labels.tolist(), "p": p.tolist()})
        done = subprocess.run([os.environ["PERENNE_CLEANLAB"], "-c", program], input=asked, capture_output=True, check=True)
        rows, quality = msgspec.json.decode(done.stdout.splitlines()[-1])
        found = find_suspects(labels, p)
        assert found.rows.tolist() == rows
        assert found.quality == pytest.approx(quality)
