"""Executors by URL, as in the environment variable `PERENNE_EXECUTOR`."""

from perenne.compute.executors import Executor, InlineExecutor, ThreadExecutor
from perenne.compute.processes import ProcessExecutor
from perenne.core.errors import Invalid

VARIABLE = "PERENNE_EXECUTOR"
MOST = 10_000
_FORMS = "inline, threads:4, processes:4, ray:local or ray:HOST:PORT"


def open_executor(url: str) -> Executor:
    """Open the executor that a URL names; whoever opens it closes it.

    Parameters
    ----------
    url : str
        ``inline``; ``threads`` or ``processes``, with ``:4`` for how many at once; ``ray:local`` for a cluster of this machine
        alone, ``ray:HOST:PORT`` for one that runs, with ``?slots=64`` for how many at once.

    Raises
    ------
    Invalid
        If it is none of these.
    Unavailable
        If Ray is not installed, or its cluster cannot be reached.

    >>> open_executor("threads:3").slots
    3
    """
    scheme, colon, rest = url.partition(":")
    match scheme:
        case "inline" if url == "inline":
            return InlineExecutor()
        case "threads":
            return ThreadExecutor(_count(url, rest) if colon else None)
        case "processes":
            return ProcessExecutor(_count(url, rest) if colon else None)
        case "ray":
            from perenne.compute.ray import RayExecutor

            address, limited, slots = rest.partition("?slots=")
            return RayExecutor(address, slots=_count(url, slots) if limited else None)
        case _:
            raise _unknown(url)


def _count(url: str, text: str) -> int:
    """Read how many calls go on at once."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= MOST):
        raise _unknown(url)
    return int(text)


def _unknown(url: str) -> Invalid:
    return Invalid(f"executor {url[:100]!r} is not known", code="compute.url", hint=f"{VARIABLE} is {_FORMS}")
