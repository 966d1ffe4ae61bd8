"""Settings: where state lives and where servers listen. From the environment, with `PERENNE_` in front of the name."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process of perenne is told at its start.

    Attributes
    ----------
    home : Path
        The folder that holds the database, the objects, the logs and what is being served; `.perenne` beside the project.
    database : str
        URL of the metadata database.
    objects : str
        URL of the object store.
    executor : str
        URL of what carries out the steps of pipelines; see `perenne.compute.open_executor`.
    host, port : str, int
        Where the control plane listens.
    serve_port : int
        Where the model server listens; 0 takes a free port.
    """

    home: Path
    database: str
    objects: str
    executor: str = "inline"
    host: str = "127.0.0.1"
    port: int = 7373
    serve_port: int = 7374

    @property
    def logs(self) -> Path:
        """The folder of the prediction log."""
        return self.home / "logs"

    @property
    def spool(self) -> Path:
        """The folder in which observers leave window profiles for the control plane."""
        return self.home / "spool"

    @property
    def releases(self) -> Path:
        """The folder from which model servers start, also with the control plane away."""
        return self.home / "releases"


def load_settings(folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of the project in a folder.

    Raises
    ------
    Invalid
        If a variable cannot be read; the message names it.

    >>> load_settings(Path("/tmp/x"), {"PERENNE_PORT": "8080"}).port
    8080
    """
    home = Path(environment.get("PERENNE_HOME") or (folder or Path.cwd()) / ".perenne").absolute()
    return Settings(
        home=home,
        database=environment.get("PERENNE_DATABASE", f"sqlite:///{home / 'perenne.db'}"),
        objects=environment.get("PERENNE_OBJECTS", (home / "objects").as_uri()),
        executor=environment.get("PERENNE_EXECUTOR", "inline"),
        host=environment.get("PERENNE_HOST", "127.0.0.1"),
        port=_port(environment, "PERENNE_PORT", 7373),
        serve_port=_port(environment, "PERENNE_SERVE_PORT", 7374),
    )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 5) or int(text) > 65_535:
        raise Invalid(f"{name} is {text[:40]!r}, which is not a port", code="config.port", hint="a number from 0 to 65535")
    return int(text)
