"""Queues: what comes next, for whom, in which order; two people do not get the same item needlessly."""

import threading
from typing import Any

import pyarrow as pa
from tests.labels.people import ADA, BEN, CAT, ELSEWHERE, VAL, filled, ids, rows, say, take, write

from perenne.labels import label_store, labelling, queues, sets
from perenne.labels.labelling import Said
from perenne.labels.model import Order
from perenne.storage.workspace import Workspace


def test_an_item_that_somebody_has_in_hand_is_not_given_to_others(workspace: Workspace) -> None:
    filled(workspace)
    first, second = take(workspace, BEN, 5), take(workspace, CAT, 5)
    assert len(first) == len(second) == 5 and not set(first) & set(second)
    assert take(workspace, BEN, 5) == first  # a page that was reloaded gets what it had
    more = take(workspace, BEN, 7, holding=first)
    assert len(more) == 2 and not set(more) & {*first, *second}


def test_with_two_opinions_an_item_goes_to_two_people_and_no_third(workspace: Workspace) -> None:
    filled(workspace, rows(2), opinions=2)
    assert set(take(workspace, BEN, 5)) == set(take(workspace, CAT, 5)) == set(ids(workspace).values())
    assert take(workspace, VAL, 5) == []
    say(workspace, BEN, dict.fromkeys(ids(workspace).values(), "yes"))
    assert take(workspace, VAL, 5) == [] and take(workspace, BEN, 5) == []


def test_a_lease_that_ran_out_gives_the_item_to_somebody_else(workspace: Workspace) -> None:
    filled(workspace, rows(1), lease=10)
    (item,) = take(workspace, BEN)
    assert take(workspace, CAT) == []
    write(workspace, label_store.set_turns, "late", "ben", [item], label_store.LEASED, until=1, time=1)
    assert take(workspace, CAT) == [item]
    assert say(workspace, BEN, {item: "yes"})[0].state == "done"  # who was late is heard all the same


def test_what_was_skipped_goes_to_others(workspace: Workspace) -> None:
    filled(workspace, rows(1))
    (item,) = take(workspace, BEN)
    write(workspace, labelling.skip, BEN, "late", item)
    assert take(workspace, BEN) == [] and take(workspace, CAT) == [item]


def test_orders(workspace: Workspace) -> None:
    filled(workspace, rows(6), opinions=2)
    item = ids(workspace)
    write(workspace, label_store.set_uncertainty, "late", [(item[4], 0.9), (item[2], 0.8)])
    assert take(workspace, BEN, 2, order=Order.UNCERTAIN) == [item[4], item[2]]
    for who, value in ((BEN, "yes"), (CAT, "no")):
        say(workspace, who, {item[5]: value})
    assert take(workspace, VAL, 1, order=Order.DISAGREEMENT) == [item[5]]
    write(workspace, label_store.set_suspicion, "late", [(item[1], 0.7, '"no"')])
    assert take(workspace, ADA, 3, order=Order.SUSPECT) == [item[1]]
    say(workspace, ADA, {item[1]: "yes"})
    assert take(workspace, CAT, 3, order=Order.SUSPECT) == []  # somebody has looked at it


def test_a_random_order_is_the_same_each_time_and_not_that_of_the_rows(workspace: Workspace) -> None:
    filled(workspace, rows(40))
    by_row = list(ids(workspace).values())
    assert take(workspace, BEN, 40) == take(workspace, BEN, 40) != sorted(by_row)
    filled(workspace, rows(40), "other")
    assert take(workspace, BEN, 40) != take(workspace, BEN, 40, "other")


def test_only_the_columns_that_are_shown_leave(workspace: Workspace) -> None:
    table = rows(2, secret=["a", "b"], when=pa.array([0, 1], pa.timestamp("us")))
    found = filled(workspace, table, shown=("words", "when"), text="size")
    _, items = write(workspace, queues.take, BEN, "late", count=2)
    seen = queues.shown(workspace.objects, found, items)
    assert {tuple(each.fields) for each in seen} == {("words", "when", "size")}
    assert sorted(each.fields["words"] for each in seen) == ["row 0", "row 1"]


def test_progress_counts_everybody_and_oneself(workspace: Workspace) -> None:
    filled(workspace, rows(4), opinions=2)
    item = ids(workspace)
    say(workspace, BEN, {item[0]: "yes", item[1]: "yes"})
    say(workspace, CAT, {item[0]: "yes", item[1]: "no"})
    write(workspace, labelling.skip, BEN, "late", item[2])
    with workspace.database.read() as tx:
        found = queues.progress(tx, BEN, "late")
        assert queues.progress(tx, ADA, "late").mine == 0
        disputed = queues.disputed(tx, VAL, "late")
        differing = sets.differing(tx, VAL, limit=5)
        assert sets.differing(tx, ELSEWHERE, limit=5) == []
    assert [(each.label_set, each.project, each.items) for each in differing] == [("late", "flights", 1)]
    assert (found.items, found.open, found.done, found.disputed, found.mine, found.skipped) == (4, 2, 1, 1, 2, 1)
    (one,) = queues.disputes(workspace.objects, disputed)
    assert sorted((each.labeller, each.decoded) for each in one.opinions) == [("ben", "yes"), ("cat", "no")]


def test_labellers_at_once_share_the_work_and_lose_nothing(workspace: Workspace) -> None:
    """Four people label side by side until nothing is left: every item is labelled once, none twice."""
    filled(workspace, rows(60))
    failures: list[BaseException] = []

    def work(name: str) -> None:
        from perenne.auth.principals import Principal

        who = Principal(name, roles=BEN.roles)
        try:
            while items := take(workspace, who, 3):
                for item in items:
                    write(workspace, labelling.say, who, "late", [Said(item, "yes", request=item)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with workspace.database.read() as tx:
        kept: list[Any] = labelling.history(tx, ADA, "late")
        assert queues.progress(tx, ADA, "late").done == 60
    assert len(kept) == len({label.item for label in kept}) == 60
