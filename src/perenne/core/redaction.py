"""Blackening secrets before a text leaves the process: by the name of a key, and by the shape of the text.

What is written to logs, traces and debug bundles goes through here. A secret of a known shape, or beside a key that names it, is
found; one that looks like any other word is not, so nothing should rely on this alone.
"""

import re
from collections.abc import Mapping
from typing import Any

BLACK = "[redacted]"

TOKEN = re.compile(r"prn_([0-7][0-9A-HJKMNP-TV-Z]{25})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})")
"""The shape of perenne's own tokens; `perenne.auth.tokens` makes and reads them."""

_SECRET_WORDS = frozenset({"authorization", "cookie", "credentials", "passphrase", "pwd", "token"})
_SECRET_STEMS = ("password", "passwd", "secret", "credential")
_SECRET_KEYS = ("apikey", "accesskey", "privatekey", "signingkey", "accountkey", "storagekey", "saskey")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*")
_MAX_DEPTH = 16

_KEY = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token(?!s)|authorization|cookie|credentials?"
    r"|(?:api|access|private|signing|account|storage|sas)[_-]?key)"
)
_IS = r"[\w.-]{0,40}\\*[\"']?\s{0,3}(?:=>|[:=](?!>))\s{0,3}"
_VALUE = (
    r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\\+\"[^\"\\]*(?:\\+\")?|(?i:bearer|basic|token|apikey|digest)\s+[^\s,;\"']+"
    r"|[^\s,;&\"'}\])]+"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL), BLACK),
    (re.compile(r"\b(prn_[0-9A-Z]{26})_[A-Za-z0-9_-]+"), rf"\1_{BLACK}"),
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/@:]{0,200}):[^\s/]+@"), rf"\1:{BLACK}@"),
    (re.compile(r"\b(https?://)[^\s/@:]+@"), rf"\1{BLACK}@"),
    (re.compile(rf"(?i)({_KEY}{_IS})(?!\[redacted\])(?:{_VALUE})"), rf"\1{BLACK}"),
    (re.compile(rf"(?i)(?<![\w-])(--[\w-]{{0,40}}?{_KEY}[\w-]{{0,40}}\s+)(?!\[redacted\])[^\s-]\S*"), rf"\1{BLACK}"),
    (re.compile(r"\b([Bb]earer|BEARER)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {BLACK}"),
    (re.compile(r"\b(Basic|ApiKey|Digest)\s+[A-Za-z0-9._~+/=-]{12,}"), rf"\1 {BLACK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), BLACK),
    (re.compile(r"(?i)([?&](?:sig|signature|x-amz-signature|x-amz-credential|x-goog-signature)=)[^&\s\"']+"), rf"\1{BLACK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"), BLACK),
    (re.compile(r"\bxox[abeprs]-[\w-]{10,}|\bsk-[A-Za-z0-9_-]{20,}|\bAIza[\w-]{35}|\bglpat-[\w-]{20,}"), BLACK),
)  # fmt: skip


def is_secret_key(name: str) -> bool:
    """Tell whether what lies under a key is a secret, by its name.

    >>> [name for name in ("PGPASSWORD", "apiKey", "X-Auth-Token", "max_tokens", "primary_key") if is_secret_key(name)]
    ['PGPASSWORD', 'apiKey', 'X-Auth-Token']
    """
    words = [word.lower() for word in _WORD.findall(name)]
    joined = "".join(words)
    return not _SECRET_WORDS.isdisjoint(words) or any(stem in joined for stem in (*_SECRET_STEMS, *_SECRET_KEYS))


def redact_text(text: str) -> str:
    """Blacken the secrets in a text.

    >>> redact_text("cannot open postgresql://ada:hunter2@db/perenne")
    'cannot open postgresql://ada:[redacted]@db/perenne'
    >>> redact_text('headers {"Authorization": "Bearer abc.def"}, 3 tokens: a b c')
    'headers {"Authorization": [redacted]}, 3 tokens: a b c'
    """
    for shape, black in _SHAPES:
        text = shape.sub(black, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """Blacken the secrets in plain values: what lies under a secret's key, and every text by its shape.

    >>> redact({"user": "ada", "password": "hunter2", "hosts": ["s3://key:pass@host/"]})
    {'user': 'ada', 'password': '[redacted]', 'hosts': ['s3://key:[redacted]@host/']}
    """
    if depth > _MAX_DEPTH:
        return BLACK
    match value:
        case str():
            return redact_text(value)
        case Mapping():
            return {
                redact_text(str(key)): BLACK
                if is_secret_key(str(key)) and isinstance(item, str | bytes | int | list | dict)
                else redact(item, depth + 1)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [redact(item, depth + 1) for item in value]
        case _:
            return value
