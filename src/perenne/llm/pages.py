"""Pages of short lists, by how many rows were passed over: of what people make by hand there are never many."""

from perenne.core.tokens import make_token, read_token


def start_of(token: str, query: str) -> int:
    """Return how many rows a page passes over. Raises Invalid for a token that is none, or of another question.

    >>> start_of("", "q"), start_of(token_after(True, 20, "q"), "q")
    (0, 20)
    """
    place = read_token(token, query)
    first = place.after[0] if place.after else place.offset
    return first if isinstance(first, int) and first >= 0 else 0


def token_after(more: bool, rows: int, query: str) -> str:
    """Return the token of the page after so many rows; an empty one after the last."""
    return make_token((rows,), query) if more else ""
