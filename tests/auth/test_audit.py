"""The audit trail: every way to change it behind the program's back is named, and the database refuses the plain ones."""

import sqlite3
from collections.abc import Callable

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.auth import audit
from perenne.auth.audit import AuditRecord, Head, Verdict
from perenne.auth.chain import genesis, hash_of, sealed, verify_chain
from perenne.auth.principals import Principal, PrincipalKind, policy_principal
from perenne.core import json
from perenne.core.errors import Denied
from perenne.storage.database import Database, Transaction

RECORDS = 12
FIELDS = AuditRecord.__struct_fields__


def make_trail(count: int = RECORDS) -> list[AuditRecord]:
    trail: list[AuditRecord] = []
    for seq in range(1, count + 1):
        prev = trail[-1].hash if trail else genesis("installation")
        row = AuditRecord(seq, seq * 1_000, "ada", "user", "", "thing.do", "thing", f"t{seq}", None, '{"n":1}', "why", prev, "")
        trail.append(sealed(row))
    return trail


def verify(trail: list[AuditRecord], head: Head | None = None) -> Verdict:
    ordered = sorted(trail, key=lambda record: record.seq)
    return verify_chain(ordered, genesis("installation"), lambda prev: [r for r in ordered if r.prev == prev], head)


def renumbered(trail: list[AuditRecord]) -> list[AuditRecord]:
    return [msgspec.structs.replace(record, seq=seq) for seq, record in enumerate(trail, 1)]


def test_an_untouched_trail_is_good() -> None:
    assert verify(make_trail()) == Verdict(RECORDS)
    assert verify([]) == Verdict(0)


@pytest.mark.parametrize("seq", [1, 2, 7, RECORDS])
@pytest.mark.parametrize("field", [name for name in FIELDS if name != "seq"])
def test_any_edited_field_is_named(seq: int, field: str) -> None:
    trail = make_trail()
    value = getattr(trail[seq - 1], field)
    changed = {None: "x", int: 999}.get(type(value) if value is not None else None, f"{value}x")
    trail[seq - 1] = msgspec.structs.replace(trail[seq - 1], **{field: changed})
    assert verify(trail) == Verdict(seq - 1, seq, "edited")


@pytest.mark.parametrize("seq", [1, 2, 7])
def test_an_edited_number_is_named(seq: int) -> None:
    trail = make_trail()
    trail[seq - 1] = msgspec.structs.replace(trail[seq - 1], seq=1_000)
    assert verify(trail) == Verdict(seq - 1, seq, "edited")
    trail[seq - 1] = msgspec.structs.replace(trail[seq - 1], seq=-3)
    assert verify(trail) == Verdict(0, -3, "edited")


@pytest.mark.parametrize("seq", [1, 6, RECORDS - 1])
def test_an_edited_record_with_a_hash_of_its_own_is_named(seq: int) -> None:
    trail = make_trail()
    trail[seq - 1] = sealed(msgspec.structs.replace(trail[seq - 1], reason="another"))
    assert verify(trail) == Verdict(seq - 1, seq, "edited")


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 4), (2, 9), (RECORDS - 1, RECORDS), (1, RECORDS)])
def test_two_swapped_records_are_named(one: int, other: int) -> None:
    trail = make_trail()
    trail[one - 1], trail[other - 1] = trail[other - 1], trail[one - 1]
    assert verify(renumbered(trail)) == Verdict(one - 1, one, "reordered")


@pytest.mark.parametrize("seq", [1, 2, 7, RECORDS - 1])
def test_a_deleted_record_is_named(seq: int) -> None:
    trail = make_trail()
    del trail[seq - 1]
    assert verify(trail) == Verdict(seq - 1, seq, "missing")
    assert verify(renumbered(trail)) == Verdict(seq - 1, seq, "missing")


@pytest.mark.parametrize("seq", [1, 2, 7, RECORDS])
def test_an_inserted_record_is_named(seq: int) -> None:
    trail = make_trail()
    forged = msgspec.structs.replace(trail[seq - 1], reason="forged")
    for record in (forged, sealed(msgspec.structs.replace(forged, seq=seq)), msgspec.structs.replace(forged, prev="0" * 64)):
        verdict = verify(renumbered([*trail[: seq - 1], record, *trail[seq - 1 :]]))
        assert verdict == Verdict(seq - 1, seq, "inserted")


def test_a_cut_tail_and_a_trail_written_anew_show_against_a_head_from_before() -> None:
    trail = make_trail()
    head = Head(trail[-1].seq, trail[-1].hash)
    assert verify(trail, head) == Verdict(RECORDS)
    assert verify([*trail, *_more(trail)], head) == Verdict(RECORDS + 1)
    assert verify(trail[:-3], head) == Verdict(RECORDS - 3, RECORDS - 2, "truncated")
    anew = make_trail()
    anew[4] = sealed(msgspec.structs.replace(anew[4], reason="another"))
    for place in range(5, RECORDS):
        anew[place] = sealed(msgspec.structs.replace(anew[place], prev=anew[place - 1].hash))
    assert verify(anew) == Verdict(RECORDS), "the chain alone cannot tell"
    assert verify(anew, head) == Verdict(RECORDS - 1, RECORDS, "edited")


def _more(trail: list[AuditRecord]) -> list[AuditRecord]:
    return [sealed(msgspec.structs.replace(trail[-1], seq=len(trail) + 1, prev=trail[-1].hash))]


def test_another_installations_trail_is_not_ours() -> None:
    trail = make_trail()
    verdict = verify_chain(trail, genesis("another"), lambda prev: [], None)
    assert verdict == Verdict(0, 0, "edited")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_is_done_to_the_records_is_noticed(data: st.DataObject) -> None:
    """Any sequence of edits, deletions, copies and moves that leaves other records than before is noticed."""
    original = make_trail(6)
    trail = list(original)
    for _ in range(data.draw(st.integers(1, 4))):
        if not trail:
            break
        place = data.draw(st.integers(0, len(trail) - 1))
        match data.draw(st.sampled_from(["edit", "delete", "copy", "move"])):
            case "edit":
                trail[place] = msgspec.structs.replace(trail[place], entity_id=data.draw(st.text(max_size=3)))
            case "delete":
                del trail[place]
            case "copy":
                trail.insert(data.draw(st.integers(0, len(trail))), trail[place])
            case "move":
                trail.insert(data.draw(st.integers(0, len(trail) - 1)), trail.pop(place))
    changed = renumbered(trail)
    cut_at_the_end = changed == original[: len(changed)]
    assert (verify(changed).bad_seq is None) == cut_at_the_end


@pytest.fixture
def trail(database: Database, actor: Principal) -> Database:
    for number in range(5):
        write_record(database, actor, number)
    return database


def write_record(database: Database, actor: Principal, number: int) -> None:
    database.write(lambda tx: audit.record(tx, actor, "thing.do", "thing", f"t{number % 2}", after={"n": number}))


def test_records_say_who_did_what_to_which_thing(database: Database) -> None:
    policy = policy_principal("flights", "ada")
    seq = database.write(
        lambda tx: audit.record(
            tx, policy, "version.promote", "version", "m@2", before={"alias": "m@1"}, after={"alias": "m@2"}, reason="better"
        )
    )
    with database.read() as tx:
        (record,) = audit.trail(tx)
        assert audit.head(tx) == Head(seq, record.hash)
    assert (record.seq, record.actor, record.actor_kind, record.on_behalf_of) == (1, "policy:flights", "policy", "ada")
    assert (record.before, record.after, record.reason) == ('{"alias":"m@1"}', '{"alias":"m@2"}', "better")
    assert record.time % 1_000 == 0
    assert record.hash == hash_of(record)


def test_the_trail_is_read_newest_first_and_of_one_thing(trail: Database) -> None:
    with trail.read() as tx:
        assert [record.seq for record in audit.trail(tx, limit=2)] == [5, 4]
        assert [record.seq for record in audit.trail(tx, entity="thing", entity_id="t1")] == [4, 2]
        assert audit.trail(tx, entity="other") == []


def test_no_record_no_change_and_no_change_no_record(trail: Database, actor: Principal) -> None:
    def refused(tx: Transaction) -> None:
        audit.record(tx, actor, "thing.do", "thing", "t")
        raise Denied("no")

    with pytest.raises(Denied):
        trail.write(refused)
    with trail.read() as tx:
        assert audit.verify(tx) == Verdict(5)


COPY = (
    "INSERT INTO audit SELECT {}, time, actor, actor_kind, on_behalf_of, action, entity, entity_id, before, after, reason, prev, "
    "hash FROM audit WHERE seq = 5"
)
STATEMENTS = (
    "UPDATE audit SET reason = 'nicer' WHERE seq = 3",
    "UPDATE audit SET seq = 9 WHERE seq = 5",
    "DELETE FROM audit WHERE seq = 5",
    "DELETE FROM audit",
    {"sqlite": "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 3", "postgresql": "TRUNCATE audit"},
    COPY.format(7),
    "UPDATE installation SET id = 'x'",
    "DELETE FROM installation",
)


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_the_database_only_lets_the_trail_grow(trail: Database, statement: str | dict[str, str]) -> None:
    if isinstance(statement, dict):
        statement = statement[trail.url.get_backend_name()]
    with pytest.raises(sa.exc.IntegrityError, match="audit trail"):
        trail.write(lambda tx: tx.execute(sa.text(statement)))
    with trail.read() as tx:
        assert audit.verify(tx) == Verdict(5)


@pytest.fixture
def behind_its_back(trail: Database) -> Callable[[str], Verdict]:
    """Run a statement past the triggers, as somebody with the file in hand could, and verify."""
    past_the_triggers = sqlite_past_the_triggers if trail.url.get_backend_name() == "sqlite" else postgres_past_the_triggers

    def run(statements: str) -> Verdict:
        past_the_triggers(trail.url, statements)
        with trail.read() as tx:
            return audit.verify(tx)

    return run


def sqlite_past_the_triggers(url: sa.URL, statements: str) -> None:
    with sqlite3.connect(str(url.database)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.executescript(statements)
    raw.close()


def postgres_past_the_triggers(url: sa.URL, statements: str) -> None:
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as raw:
        raw.execute("SET session_replication_role = replica")
        raw.execute(statements)


SWAP = "UPDATE audit SET seq = -seq WHERE seq IN (2, 3); UPDATE audit SET seq = CASE seq WHEN -2 THEN 3 ELSE 2 END WHERE seq < 0"


@pytest.mark.parametrize(
    ("statement", "seq", "problem"),
    [
        ("UPDATE audit SET reason = 'nicer' WHERE seq = 3", 3, "edited"),
        ("UPDATE audit SET before = '' WHERE seq = 1", 1, "edited"),
        ("DELETE FROM audit WHERE seq = 2", 2, "missing"),
        (SWAP, 2, "reordered"),
        (COPY.format(6), 6, "inserted"),
        ("UPDATE installation SET id = 'x'", 0, "edited"),
    ],
)
def test_what_was_done_behind_the_programs_back_is_named(
    behind_its_back: Callable[[str], Verdict], statement: str, seq: int, problem: str
) -> None:
    verdict = behind_its_back(statement)
    assert (verdict.bad_seq, verdict.problem) == (seq, problem)


def test_a_cut_tail_shows_against_a_known_head(trail: Database, behind_its_back: Callable[[str], Verdict]) -> None:
    with trail.read() as tx:
        known = audit.head(tx)
    assert behind_its_back("DELETE FROM audit WHERE seq >= 4") == Verdict(3)
    with trail.read() as tx:
        assert audit.verify(tx, known) == Verdict(3, 4, "truncated")


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(), max_size=5))
def test_equal_content_has_equal_bytes(content: dict[str, object]) -> None:
    shuffled = dict(reversed(content.items()))
    assert json.canonical(json.plain(content)) == json.canonical(json.plain(shuffled))


def test_an_actor_without_a_name_of_its_kind_is_a_person() -> None:
    assert Principal("ada").kind is PrincipalKind.USER
