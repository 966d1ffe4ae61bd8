"""Reading what stands in the query of an address, within limits."""

from starlette.requests import Request

from perenne.core.errors import Invalid

LONGEST = 200


def text(request: Request, name: str) -> str:
    """Return a parameter of the query, an empty text if it is not there. Raises Invalid if it is long or cannot be printed."""
    found = request.query_params.get(name, "")
    if not (found.isprintable() and len(found) <= LONGEST):
        raise Invalid(f"{name} cannot be read", code="request.query", hint=f"printable characters, at most {LONGEST}")
    return found


def whole_number(request: Request, name: str, otherwise: int) -> int:
    """Return a whole number of the query. Raises Invalid if it is none."""
    found = request.query_params.get(name)
    return otherwise if found is None else read_number(found, name)


def read_number(found: str, name: str) -> int:
    """Read a whole number that is called so. Raises Invalid if it is none."""
    if not (found.isascii() and found.isdecimal() and len(found) <= 15):
        raise Invalid(f"{name} is {found[:40]!r}, which is no whole number", code="request.query", hint="write it in digits")
    return int(found)
