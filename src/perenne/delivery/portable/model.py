"""What a portable package says of itself, and what was measured when it was made. No I/O."""

from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = float | str | None
SHOWN_LEVELS = 500


class PortableInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input of the graph.

    Attributes
    ----------
    name, kind, datatype : str
        As the signature has them: number, category or time, and the finer type.
    protocol : str
        Its datatype in the Open Inference Protocol.
    missing : str
        For a category, the text that stands for a missing value; NaN does for the others.
    levels : tuple of str
        For a category, the levels the model knows, at most 500 of them.
    """

    name: str
    kind: str
    datatype: str
    protocol: str
    missing: str = ""
    levels: tuple[str, ...] = ()


class PortableModel(msgspec.Struct, frozen=True, kw_only=True):
    """`model.json`: what the graph beside it takes and answers.

    Attributes
    ----------
    name, version : str
        The model and the number of its version.
    tree : str
        Digest of the package it was made from.
    task, target : str
        What is answered, and its name.
    classes : tuple
        The labels in the order of the probabilities; empty for a number.
    threshold : float
        The positive class's probability from which a binary model answers with it.
    inputs : tuple of PortableInput
        In the order of the signature.
    precision : str
        In which numbers the graph computes: `float64`, `float32` or `int8`.
    digest : str
        SHA-256 of `model.onnx`.
    perenne : str
        With which version it was made.
    """

    format: int = 1
    name: str
    version: str
    tree: str
    task: str
    target: str
    classes: tuple[str | int | float | bool, ...]
    threshold: float
    inputs: tuple[PortableInput, ...]
    precision: str
    digest: str
    perenne: str


class PortableExample(msgspec.Struct, frozen=True):
    """`example.json`: rows by input, and how the version itself answers them: labels or values, and probabilities."""

    inputs: dict[str, list[Value]]
    predictions: list[Any]
    probabilities: list[list[float]] | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A precision that was tried: how large, how far from the version's own answers, and whether that is near enough.

    Attributes
    ----------
    precision : str
        `float64`, `float32` or `int8`.
    bytes : int
        Size of the graph.
    rows, differing : int
        Rows compared, and those answered with another label.
    largest_difference : float
        Of a probability, or of a value divided by the scale of the values.
    accepted : bool
        Whether it may be used.
    problem : str
        Why it could not be made; empty if it was.
    """

    precision: str
    bytes: int = 0
    rows: int = 0
    differing: int = 0
    largest_difference: float = 0.0
    accepted: bool = False
    problem: str = ""


class Limits(msgspec.Struct, frozen=True):
    """How far a smaller graph may be from the version: the share of rows with another label, and the largest difference."""

    differing: float = 0.002
    difference: float = 0.01


class PortableReport(msgspec.Struct, frozen=True, kw_only=True):
    """`report.json`: what was measured when the package was made.

    Attributes
    ----------
    model, kind : str
        `name@number`, and `edge` or `browser`.
    precision : str
        The one that was taken.
    graph_bytes, package_bytes : int
        Size of `model.onnx`, and of all files.
    p50_us, p99_us : float
        One row alone, one thread, here: by the server over its connection for `edge`, by the runtime alone for `browser`.
    start_seconds, memory_mb : float, optional
        Of the server; a page has none.
    tried : tuple of Tried
        Every precision, the smallest first.
    """

    model: str
    kind: str
    precision: str
    graph_bytes: int
    package_bytes: int
    p50_us: float
    p99_us: float
    start_seconds: float | None = None
    memory_mb: float | None = None
    tried: tuple[Tried, ...] = ()
