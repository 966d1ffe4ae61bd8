"""Masking is deterministic, keeps what it says it keeps, and tells where the rows came from."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from perenne.auth import audit
from perenne.core.errors import Invalid, NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.commands import data
from perenne.data.privacy.masking import mask_table, read_rules
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC).replace(tzinfo=None)


KEY = b"k" * 32
TABLE = pa.table({
    "id": [1, 2, None], "mail": ["ada@example.org", None, "bob@example.org"], "zip": ["12345", "é2", None],
    "born": [at(1990, 5, 17, 9), None, at(1, 1, 1)], "pay": [12.5, -1.0, None],
    "ip": ["10.1.2.3", "nothing", "2001:db8:1:2::3"],
})  # fmt: skip


def masked(*rules: str, key: bytes = KEY) -> dict[str, list[Any]]:
    return mask_table(TABLE, read_rules(rules), key).to_pydict()


def test_each_rule_keeps_what_it_says() -> None:
    done = masked("id=hash", "mail=mask", "zip=truncate:2", "born=year", "pay=round:10", "ip=network")
    assert done["mail"] == ["•••@•••••••.•••", None, "•••@•••••••.•••"]
    assert done["zip"] == ["12", "é2", None]
    assert done["born"] == [at(1990, 1, 1), None, at(1, 1, 1)]
    assert done["pay"] == [10.0, -10.0, None]
    assert done["ip"] == ["10.1.2.0", "", "2001:db8:1::"]
    assert done["id"][2] is None and len(set(done["id"])) == 3
    assert "mail" not in masked("mail=drop")
    assert masked("id=truncate:1")["id"] == ["1", "2", None]
    assert masked("born=month")["born"][0] == at(1990, 5, 1)


def test_tables_still_join_under_one_key_and_not_under_two() -> None:
    other = pa.table({"customer": ["1", "2"], "amount": [1.0, 2.0]})
    hashes = mask_table(other, read_rules(["customer=hash"]), KEY).to_pydict()["customer"]
    assert hashes == masked("id=hash")["id"][:2]
    assert mask_table(other, read_rules(["amount=hash"]), KEY).to_pydict()["amount"] == hashes
    assert not set(masked("id=hash", key=b"l" * 32)["id"]) & set(hashes)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("mail", "is none"), ("mail=shuffle", "is none"), ("zip=truncate", "is none"), ("mail=hash:3", "is none"),
        ("zip=truncate:x", "no size"), ("zip=truncate:-1", "no size"), ("zip=truncate:1.5", "no size"),
        ("pay=round:0", "no size"),
        ("nothing=hash", "no column 'nothing'"), ("mail=year", "is for timestamp"), ("born=round:3", "is for int64 and float64"),
        ("id=network", "is for string"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(rule: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        masked(rule)


def test_a_column_has_one_rule_and_one_column_is_left() -> None:
    with pytest.raises(Invalid, match="'mail' has two"):
        read_rules(["mail=hash", "mail=drop"])
    with pytest.raises(Invalid, match="no column would be left"):
        mask_table(pa.table({"x": [1]}), read_rules(["x=drop"]), KEY)


def call(workspace: Workspace, *arguments: object) -> Any:
    answer = CliRunner().invoke(data, list(map(str, arguments)), obj=workspace, standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    return answer.return_value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text("id,email\n1,ada@example.org\n2,bob@example.org\n")
    return path


def test_a_masked_snapshot_knows_where_it_came_from_and_is_the_same_again(workspace: Workspace, file: Path) -> None:
    taken = call(workspace, "snapshot", file).value
    hidden: Result = call(workspace, "mask", taken.id[:12], "--rule", "email=hash", "--dataset", "customers-hidden")
    again: Result = call(workspace, "mask", file, "--rule", "email=hash", "--dataset", "customers-hidden")
    assert again.value.id == hidden.value.id != taken.id
    with workspace.database.read() as tx:
        links = [(link.relation, link.target) for link in links_from(tx, Kind.SNAPSHOT, hidden.value.id)]
        record = audit.trail(tx, entity="snapshot", entity_id=hidden.value.id)[-1]
        assert ("masked_from", taken.id) in links
        told = [record.after for record in audit.trail(tx) if record.action == "snapshot.mask"]
    assert "email=hash" in str(told[-1]) and "ada@" not in str(told)
    assert record.action == "snapshot.take"


def test_a_key_of_ones_own_and_a_file_that_is_written_whole(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    key = tmp_path / "personal.key"
    key.write_text("x" * 40 + "\n")
    for name in ("hidden.parquet", "again.parquet", "hidden.csv"):
        call(workspace, "mask", file, "--rule", "email=hash", "--key-file", key, "-o", tmp_path / name)
    assert (tmp_path / "hidden.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    hashed = pq.read_table(tmp_path / "hidden.parquet").to_pydict()["email"]
    assert all(text in (tmp_path / "hidden.csv").read_text() for text in hashed)
    call(workspace, "mask", file, "--rule", "email=hash", "-o", tmp_path / "other.parquet")
    assert not set(pq.read_table(tmp_path / "other.parquet").to_pydict()["email"]) & set(hashed)
    key.write_text("short")
    with pytest.raises(Invalid, match="fewer than 32 bytes"):
        call(workspace, "mask", file, "--rule", "email=hash", "--key-file", key, "-o", tmp_path / "x.csv")
    with pytest.raises(NotFound, match="cannot be read"):
        call(workspace, "mask", file, "--rule", "email=hash", "--key-file", tmp_path / "no.key", "-o", tmp_path / "x.csv")
    with pytest.raises(Invalid, match=r"neither \.parquet nor \.csv"):
        call(workspace, "mask", file, "--rule", "email=hash", "-o", tmp_path / "x.txt")
    assert not (tmp_path / "x.csv").exists()


def test_what_is_personal_is_told_by_the_exit_code(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    found: Result = call(workspace, "personal", file)
    assert (found.exit_code, found.shown[0]["kind"]) == (EXIT_FINDINGS, "e-mail address")
    assert "ada" not in str(found)
    names = tmp_path / "names.csv"
    names.write_text("first_name,x\nAda,1\nGrace,2\n")
    assert call(workspace, "personal", names).exit_code == 0
    hints: Result = call(workspace, "personal", names, "--hints")
    assert (hints.exit_code, [item.kind for item in hints.value]) == (0, ["name"])
