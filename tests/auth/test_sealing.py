"""Secrets that are kept sealed: with a key of the environment, or of a file that only its owner reads."""

import base64
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.auth.sealing import Seal, seal_of
from perenne.core.errors import Invalid, Unavailable


@given(st.text(max_size=200))
def test_what_is_sealed_comes_back_and_is_another_text_each_time(secret: str) -> None:
    seal = Seal(b"k" * 32)
    first, second = seal.seal(secret), seal.seal(secret)
    assert first != second
    assert seal.open(first) == seal.open(second) == secret


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_bit_that_was_changed_is_noticed(place: int, bit: int) -> None:
    seal = Seal(b"k" * 32)
    data = bytearray(base64.urlsafe_b64decode(seal.seal("a secret of some length")[3:]))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(Unavailable, match="another key"):
        seal.open("v1." + base64.urlsafe_b64encode(bytes(data)).decode())


@pytest.mark.parametrize("text", ["", "v1.", "v1.AAAA", "v2." + "A" * 200, "v1.§", "hush"])
def test_what_is_no_seal_is_refused(text: str) -> None:
    with pytest.raises(Unavailable, match="another key"):
        Seal(b"k" * 32).open(text)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Unavailable, match="another key"):
        Seal(b"j" * 32).open(Seal(b"k" * 32).seal("hush"))


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    found: list[str] = []
    seal = seal_of(tmp_path / "home", {})
    sealed = seal.seal("hush")
    threads = [threading.Thread(target=lambda: found.append(seal_of(tmp_path / "home", {}).open(sealed))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["hush"] * 8
    assert stat.S_IMODE((tmp_path / "home" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret.key"]


def test_the_key_of_the_environment_counts_and_must_be_long(tmp_path: Path) -> None:
    sealed = seal_of(tmp_path, {"PERENNE_SECRET_KEY": "k" * 32}).seal("hush")
    assert Seal(b"k" * 32).open(sealed) == "hush"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Invalid, match="fewer than 32"):
        seal_of(tmp_path, {"PERENNE_SECRET_KEY": "short"})
