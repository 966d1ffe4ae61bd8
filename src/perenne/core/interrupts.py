"""Telling that somebody pressed Ctrl-C, also from what libraries make of it."""


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error says that the program was interrupted: DuckDB raises one of its own in the middle of a query.

    >>> is_interrupt(KeyboardInterrupt()), is_interrupt(RuntimeError("Query interrupted")), is_interrupt(RuntimeError("no"))
    (True, True, False)
    """
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, RuntimeError) and str(error) == "Query interrupted")
