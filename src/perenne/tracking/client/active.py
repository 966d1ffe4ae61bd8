"""Logging to the active run, from anywhere in the program: the methods of `ActiveRun`, as functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perenne.tracking.client.session import active_run, the_active_run


def log_metric(key: str, value: float, step: int = 0, *, time: int | None = None) -> None:
    """Log one value of a metric to the active run."""
    the_active_run().log_metric(key, value, step, time=time)


def log_metrics(values: Mapping[str, float], step: int = 0, *, time: int | None = None) -> None:
    """Log values of several metrics at one step to the active run."""
    the_active_run().log_metrics(values, step, time=time)


def log_param(key: str, value: object) -> None:
    """Log a parameter of the active run; it never changes."""
    the_active_run().log_param(key, value)


def log_params(values: Mapping[str, object]) -> None:
    """Log several parameters of the active run."""
    the_active_run().log_params(values)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run."""
    the_active_run().set_tag(key, value)


def set_tags(values: Mapping[str, object]) -> None:
    """Set several tags of the active run."""
    the_active_run().set_tags(values)


def log_input(source: str | Path, *, name: str = "", context: str = "training") -> str:
    """Note a file or folder as data the active run read; return its digest."""
    return the_active_run().log_input(source, name=name, context=context)


def log_artifact(path: str | Path, folder: str = "") -> None:
    """Keep a file, or a folder, with the active run."""
    the_active_run().log_artifact(path, folder)


def log_text(text: str, path: str) -> None:
    """Keep a text with the active run."""
    the_active_run().log_text(text, path)


def log_dict(value: Any, path: str) -> None:
    """Keep a dictionary or list with the active run, as JSON or YAML."""
    the_active_run().log_dict(value, path)


def log_figure(figure: Any, path: str) -> None:
    """Keep a figure with the active run."""
    the_active_run().log_figure(figure, path)


def log_table(table: Any, path: str) -> None:
    """Keep a table with the active run."""
    the_active_run().log_table(table, path)


def end_run(state: str = "finished") -> None:
    """End the active run; nothing happens if there is none."""
    run = active_run()
    if run is not None:
        run.end(state)
