"""Secrets do not get out: by key, by shape, in text that is JSON, in text that is not; and ordinary words stay."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.redaction import BLACK, is_secret_key, redact, redact_text

SECRET = "hunter2-S3cr3t"
TOKEN = "prn_01ARZ3NDEKTSV4RRFFQ69G5FAV_" + "aB3-_" * 8 + "xyz" + "_0a1b2c3d"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"PGPASSWORD={SECRET} psql",
        f"postgresql://ada:{SECRET}@db.example:5432/perenne?sslmode=require",
        f"postgresql://ada:{SECRET}p@ss@db/x",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"proxy-authorization => {SECRET}",
        f"curl -H 'Authorization: Bearer {SECRET}'",
        f"{{'password': '{SECRET}', 'user': 'ada'}}",
        json.dumps({"secret": SECRET}),
        json.dumps({"secret": 'quoted "' + SECRET}),
        json.dumps(json.dumps({"api_key": SECRET})),
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"aws_secret_access_key = {SECRET}",
        f"https://example.org/x?token={SECRET}&a=1",
        f"https://bucket/x?X-Amz-Signature={SECRET}",
        f"https://{SECRET}@example.org/x.git",
        f"--password {SECRET} --other",
        f"--api-key={SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"Cookie: session={SECRET}",
    ],
)
def test_a_secret_is_found_by_what_stands_beside_it(text: str) -> None:
    found = redact_text(text)
    assert SECRET not in found
    assert redact_text(found) == found
    assert BLACK in found


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        TOKEN[:60],
        "Bearer abcdef123456",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0xxxx.c2lnbmF0dXJl",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "xoxb-123456789012-abcdef",
    ],
)
def test_a_secret_is_found_by_its_shape(text: str) -> None:
    assert text not in redact_text(f"the caller sent {text} to us")


@pytest.mark.parametrize(
    "text",
    [
        "3 rows of churn@2 dropped",
        "GET /api/status 200 in 3.1 ms",
        "input_tokens: 40, output tokens: 7",
        "primary key: id",
        "error[auth.token]: the token is not valid",
        "http://127.0.0.1:7373/ready",
        "sqlite:////home/ada/.perenne/perenne.db",
        "basic facts of a digest",
        "at 12:30:00 ada@example.org wrote",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact_text(text) == text


def test_a_token_keeps_its_id_so_that_it_can_be_revoked() -> None:
    assert redact_text(f"token {TOKEN}.") == f"token prn_01ARZ3NDEKTSV4RRFFQ69G5FAV_{BLACK}."


def test_values_are_blackened_by_key_however_deep_and_whatever_kind() -> None:
    values = {"a": [{"apiKey": {"id": 1}}, {"credentials": [SECRET]}], "pwd": 12345, "n": 1, "none": None, "ok": True}
    assert redact(values) == {"a": [{"apiKey": BLACK}, {"credentials": BLACK}], "pwd": BLACK, "n": 1, "none": None, "ok": True}
    deep: object = SECRET
    for _ in range(200):
        deep = [deep]
    assert SECRET not in json.dumps(redact(deep))


@given(st.sampled_from(["password", "DB_PASSWORD", "clientSecret", "x-api-key", "Set-Cookie"]), st.text(min_size=1))
def test_whatever_lies_under_a_secrets_key_goes(key: str, value: str) -> None:
    assert is_secret_key(key)
    assert redact({key: value}) == {key: BLACK}


@given(st.text(max_size=300))
def test_blackening_never_fails_and_doing_it_twice_is_doing_it_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
