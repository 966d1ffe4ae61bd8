"""Agreement of people over a label set: figures, pairs, labellers, classes."""

import pytest
from tests.labels.people import ADA, BEN, CAT, VAL, filled, ids, rows, say

from perenne.labels import agreeing
from perenne.labels.model import Role, TaskKind
from perenne.storage.workspace import Workspace


def found(workspace: Workspace) -> agreeing.Agreement:
    with workspace.database.read() as tx:
        return agreeing.agreement(tx, ADA, "late")


def test_nothing_is_said_of_nothing(workspace: Workspace) -> None:
    filled(workspace)
    nothing = found(workspace)
    assert (nothing.opinions, nothing.items, nothing.alpha.value, nothing.fleiss, nothing.pairs) == (0, 0, None, None, ())
    say(workspace, BEN, {ids(workspace)[0]: "yes"})
    alone = found(workspace)
    assert (alone.opinions, alone.items, alone.alpha.value, alone.labellers[0].same) == (1, 0, None, None)


def test_two_people(workspace: Workspace) -> None:
    """Example A of Krippendorff's paper, ten items: alpha 0.095."""
    filled(workspace, rows(10), opinions=2)
    item = ids(workspace)
    for who, said in ((BEN, "0100000010"), (CAT, "1110010000")):
        say(workspace, who, {item[place]: "yes" if each == "1" else "no" for place, each in enumerate(said)})
    say(workspace, VAL, {item[0]: "yes"}, role=Role.GOLD)
    say(workspace, VAL, {item[2]: "no"}, role=Role.DECISION)
    result = found(workspace)
    assert (result.opinions, result.items) == (20, 10)
    assert result.alpha.value == pytest.approx(0.095, abs=5e-4)
    assert result.alpha.low is not None and result.alpha.high is not None and result.alpha.low < 0.095 < result.alpha.high
    (pair,) = result.pairs
    assert (pair.first, pair.second, pair.items, pair.same) == ("ben", "cat", 10, 0.6)
    assert pair.kappa == pytest.approx(1 / 11)
    assert [(line.labeller, line.labels, line.shared, line.same, line.known, line.right) for line in result.labellers] == [
        ("ben", 10, 10, 0.6, 2, 0.5),
        ("cat", 10, 10, 0.6, 2, 0.5),
    ]
    assert {each.value: each.items for each in result.classes} == {"no": 6, "yes": 2}  # ties count for nothing


def test_numbers_agree_by_their_distance(workspace: Workspace) -> None:
    filled(workspace, rows(8), kind=TaskKind.NUMBER, classes=(), opinions=2)
    item = ids(workspace)
    say(workspace, BEN, {item[n]: float(n) for n in range(8)})
    say(workspace, CAT, {item[n]: n + 0.1 for n in range(8)})
    result = found(workspace)
    assert result.alpha.value is not None and result.alpha.value > 0.99
    assert (result.fleiss, result.classes, result.pairs[0].same) == (None, (), 0.0)
