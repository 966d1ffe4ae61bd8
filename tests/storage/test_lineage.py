"""Links are said once and can be walked."""

from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, add_link, links_from, links_to, near, walk

RUN, SNAPSHOT, VERSION = (Kind.RUN, "r1"), (Kind.SNAPSHOT, "s1"), (Kind.VERSION, "m@1")


def chain(tx: Transaction) -> None:
    add_link(tx, VERSION, "made_by", RUN)
    add_link(tx, RUN, "used", SNAPSHOT)
    add_link(tx, (Kind.PROFILE, "p1"), "describes", SNAPSHOT)


def test_a_link_is_said_once(database: Database) -> None:
    database.write(chain)
    database.write(chain)
    with database.read() as tx:
        assert len(links_to(tx, *SNAPSHOT)) == 2
        assert [(link.relation, link.target) for link in links_from(tx, *RUN)] == [("used", "s1")]


def test_links_are_walked_forwards_nearest_first_and_circles_end(database: Database) -> None:
    database.write(chain)
    database.write(lambda tx: add_link(tx, SNAPSHOT, "drawn_for", VERSION))
    with database.read() as tx:
        assert [(link.source, link.target) for link in walk(tx, [VERSION])] == [("m@1", "r1"), ("r1", "s1"), ("s1", "m@1")]
        assert len(walk(tx, [VERSION], limit=2)) == 2
        assert walk(tx, [(Kind.RUN, "unknown")]) == []


def test_links_of_many_are_read_at_once_the_newest_of_each_and_how_many_there_are(database: Database) -> None:
    def many(tx: Transaction) -> None:
        chain(tx)
        for number in range(12):
            add_link(tx, (Kind.VERSION, f"m@{number}"), "trained_on", SNAPSHOT)
            add_link(tx, (Kind.RUN, f"q{number:02}"), "used", (Kind.SNAPSHOT, "s2"))

    database.write(many)
    with database.read() as tx:
        found = near(tx, Kind.SNAPSHOT, ["s1", "s2", "s3"], forwards=False, each=3)
        forwards = near(tx, Kind.VERSION, ["m@1", "m@11"], forwards=True, each=9)
    told = {(item.link.target, item.link.relation, item.link.source): item.of for item in found}
    assert [source for target, _, source in told if target == "s2"] == ["q11", "q10", "q09"]
    assert [source for target, relation, source in told if relation == "trained_on"] == ["m@11", "m@10", "m@9"]
    assert (told["s2", "used", "q11"], told["s1", "used", "r1"], told["s1", "trained_on", "m@11"]) == (12, 1, 12)
    assert {(item.link.source, item.link.target) for item in forwards} == {("m@1", "r1"), ("m@1", "s1"), ("m@11", "s1")}
