"""What is raised about remotes. No message holds a secret: what others say goes through `core.redaction`."""

from perenne.core.errors import Denied, Invalid, NotFound, PerenneError, Unavailable


def _redacted(text: str) -> str:
    from perenne.core.redaction import redact_text

    return redact_text(text)


def not_there(shown: str, path: str) -> NotFound:
    """Say that a remote has no such file."""
    return NotFound(f"{shown} has no {path}", code="data.remote_missing", hint="push it again from where it is")


def unreachable(shown: str, why: str, hint: str = "is the network there? is the remote's address right?") -> Unavailable:
    """Say that a remote cannot be used for now."""
    return Unavailable(f"{shown}: {_redacted(why)}", code="data.remote_unavailable", hint=hint)


def unusable(shown: str, why: str, hint: str = "") -> Unavailable:
    """Say that a remote cannot be used until somebody changes something."""
    return Unavailable(f"{shown}: {_redacted(why)}", code="data.remote_unusable", hint=hint)


def refused(shown: str, why: str, hint: str = "are the credentials right, and do they allow this?") -> Denied:
    """Say that a remote does not let us."""
    return Denied(f"{shown}: {_redacted(why)}", code="data.remote_denied", hint=hint)


def read_only(shown: str) -> Denied:
    """Say that nothing can be put there."""
    return Denied(f"{shown} can only be read", code="data.remote_read_only", hint="push to another remote: `-r NAME`")


def damaged_source(digest: str, found: str) -> Unavailable:
    """Say that the bytes that were to be sent are not those of their name."""
    return Unavailable(
        f"the object {digest} is damaged: its bytes have the md5 {found}; it was not sent",
        code="data.object_damaged",
        hint="`perenne data fetch` brings a whole one from a remote, `perenne data commit` one from the workspace",
    )


def bad_option(name: str, key: str, why: str, hint: str = "") -> Invalid:
    """Say that a key of a remote cannot be honoured."""
    return Invalid(f"remote {name!r}: {key} {why}", code="data.remote_option", hint=hint)


def extra_needed(what: str, package: str) -> Unavailable:
    """Say which package is missing."""
    return Unavailable(f"{what} needs {package}", code="data.extra_needed", hint=f"`pip install '{package}'`")


def is_passing(error: BaseException) -> bool:
    """Tell whether trying again may help: a network's trouble does pass, a refusal or a damaged file does not."""
    return isinstance(error, PerenneError) and error.code == "data.remote_unavailable"
