"""What must not stand in a log: tokens, credentials in headers and URLs, and letters that forge lines or move a cursor."""

import logging
import re
import sys

GONE = "[redacted]"
_TOKEN = re.compile(r"\bprn_([0-7][0-9A-HJKMNP-TV-Z]{25})_[A-Za-z0-9_-]{8,}")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|cookie|x-api-key)(['\"]?\s*[:=]\s*b?['\"]?)[^'\"\r\n]+")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_KEY = re.compile(r"(?i)\b([\w.-]*(?:password|passwd|secret|token|api_?key)['\"]?\s*[:=]\s*b?['\"]?)(?!prn_)([^\s'\",;&}\]]+)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@")


def redact(text: str) -> str:
    r"""Take out what is secret, and spell out control characters.

    A token is still told apart by its id; what goes by the name of a secret, as `password=…`, loses its value.

    >>> redact("GET / Authorization: Bearer abcdefgh")
    'GET / Authorization: [redacted]'
    >>> print(redact("postgresql://ada:pw@host/db refused\nforged line"))
    postgresql://ada:[redacted]@host/db refused\x0aforged line
    """
    text = _TOKEN.sub(rf"prn_\1_{GONE}", text)
    text = _HEADER.sub(rf"\1\2{GONE}", text)
    text = _SCHEME.sub(rf"\1 {GONE}", text)
    text = _URL.sub(rf"\1:{GONE}@", text)
    text = _KEY.sub(lambda found: found[0] if found[2] == GONE else f"{found[1]}{GONE}", text)
    return spell_out(text)


def spell_out(text: str) -> str:
    r"""Write control characters as letters, so that what is logged stays on its line.

    >>> spell_out("a\nb\x1b[31m")
    'a\\x0ab\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\t" else _spelled(letter) for letter in text)


def _spelled(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class RedactedFormatter(logging.Formatter):
    """Writes records without secrets, each message on one line; a traceback keeps its lines, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        first, *rest = super().format(record).split("\n") if record.exc_info or record.stack_info else [super().format(record)]
        return "\n".join([redact(first), *(f"  {redact(line)}" for line in rest)])


def log_to_stderr(level: int, form: str) -> None:
    """Send what a process logs to its standard error, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactedFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])
