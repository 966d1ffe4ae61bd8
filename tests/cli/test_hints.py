"""Every error says what to do about it: each place that raises one, and the classes that carry their own words.

What answers a caller of a protocol only is left out: there the protocol prescribes the text.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from perenne.auth.errors import SessionEnded, TooFast, TooManyFailures
from perenne.core.errors import PerenneError
from perenne.net.inbound import Busy, TooLarge

SRC = Path(__file__).resolve().parents[2] / "src" / "perenne"
OF_PROTOCOLS = (
    "app/model_docs/", "formats/oip.py", "formats/oip_binary.py", "formats/scoring.py", "net/inbound.py", "protocols/",
    "serving/application.py", "serving/batching.py", "serving/explaining.py", "serving/runtime.py",
)  # fmt: skip


def test_every_place_that_raises_an_error_gives_a_hint() -> None:
    bad = [f"{place}: {code}" for place, code, hint in raised() if not hint]
    assert not bad, bad


def test_places_are_found() -> None:
    codes = {code for _, code, _ in raised()}
    assert {"model.not_found", "token.roles", "up.port", "backup.damaged"} <= codes and len(codes) > 100


@pytest.mark.parametrize("error", [SessionEnded(), TooFast(1), TooManyFailures(1), TooLarge(1), Busy()])
def test_errors_with_words_of_their_own_give_a_hint(error: PerenneError) -> None:
    assert error.code != "internal" and error.message and error.hint


def raised() -> Iterator[tuple[str, str, bool]]:
    """Go through every call that makes an error with a code: where, which code, and whether it says what to do."""
    names = classes_of_errors()
    for path in sorted(SRC.rglob("*.py")):
        name = path.relative_to(SRC).as_posix()
        if name.startswith(OF_PROTOCOLS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in names:
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if "code" in given and None not in given:
                code, hint = given["code"], given.get("hint")
                empty = hint is None or (isinstance(hint, ast.Constant) and not hint.value)
                yield f"{name}:{node.lineno}", getattr(code, "value", ast.unparse(code)), not empty


def classes_of_errors() -> set[str]:
    """Name every class that is an error of ours."""
    found, grown = {PerenneError.__name__}, True
    bases = [
        (node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases})
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    while grown:
        more = {name for name, above in bases if above & found} - found
        found, grown = found | more, bool(more)
    return found
