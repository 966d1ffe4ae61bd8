"""What a command hands back. Commands return data; `perenne.cli` renders it as a table, TSV or JSON and sets the exit code."""

from typing import Any

import msgspec

EXIT_FINDINGS = 6
EXIT_UNKNOWN = 7


class Result(msgspec.Struct, frozen=True):
    """A command's answer with more than data.

    Attributes
    ----------
    value : object
        A Struct (shown as name and value), a list of Structs (shown as a table) or a text.
    exit_code : int
        0, or one of the codes of the architecture: 6 finished with findings, 7 finished with something required unknown.
    note : str
        A line for people, printed on stderr below the answer.
    shown : object
        What people see in place of the value, which `--json` prints whole; the value itself if None.
    """

    value: Any
    exit_code: int = 0
    note: str = ""
    shown: Any = None
