"""Settings: where state lives and where servers listen. From the environment, with `PERENNE_` in front of the name."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid

NO_LIMIT = 1 << 62
"""More bytes than any disk has."""


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
    auth : str
        `tokens` if callers must show a token also on loopback; elsewhere they always must.
    token_rate : float
        How often a token may be used in a second, in each process; 0 for no limit.
    repository : bool
        Whether callers who may deploy can load and unload what a model server serves.
    names : tuple of str
        Names, beside its address, by which a server is reached.
    tls_cert, tls_key : str
        Files of a certificate with its chain, and of its key.
    trusted_proxies : tuple of str
        Addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    artifact_limit : int
        The largest artifact in bytes.
    """

    home: Path
    database: str
    objects: str
    executor: str = "inline"
    host: str = "127.0.0.1"
    port: int = 7373
    serve_port: int = 7374
    auth: str = ""
    token_rate: float = 0.0
    repository: bool = False
    names: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    artifact_limit: int = NO_LIMIT

    @property
    def logs(self) -> Path:
        """The folder of the prediction log."""
        return self.home / "logs"

    @property
    def spool(self) -> Path:
        """The folder in which observers leave window profiles for the control plane."""
        return self.home / "spool"

    @property
    def outgoing(self) -> Path:
        """The folder in which processes that log runs keep what was not delivered yet."""
        return self.home / "outgoing"

    @property
    def releases(self) -> Path:
        """The folder from which model servers start, also with the control plane away."""
        return self.home / "releases"

    @property
    def keyring(self) -> Path:
        """The file by which model servers know tokens; no deployment can have its name."""
        return self.releases / ".tokens.json"


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
        database=environment.get("PERENNE_DATABASE") or f"sqlite:///{home / 'perenne.db'}",
        objects=environment.get("PERENNE_OBJECTS") or (home / "objects").as_uri(),
        executor=environment.get("PERENNE_EXECUTOR", "inline"),
        host=environment.get("PERENNE_HOST", "127.0.0.1"),
        port=_port(environment, "PERENNE_PORT", 7373),
        serve_port=_port(environment, "PERENNE_SERVE_PORT", 7374),
        auth=_auth(environment),
        token_rate=_rate(environment),
        repository=_repository(environment),
        names=_list(environment, "PERENNE_NAMES"),
        tls_cert=environment.get("PERENNE_TLS_CERT", ""),
        tls_key=environment.get("PERENNE_TLS_KEY", ""),
        trusted_proxies=_list(environment, "PERENNE_TRUSTED_PROXIES"),
        artifact_limit=_artifact_limit(environment),
    )


def _auth(environment: Mapping[str, str]) -> str:
    text = environment.get("PERENNE_AUTH", "")
    if text not in ("", "tokens"):
        raise Invalid(f"PERENNE_AUTH is {text[:40]!r}, which is not known", code="config.auth", hint="`tokens`, or leave it out")
    return text


def _repository(environment: Mapping[str, str]) -> bool:
    text = environment.get("PERENNE_REPOSITORY", "off")
    if text not in ("on", "off"):
        raise Invalid(f"PERENNE_REPOSITORY is {text[:40]!r}, which is not known", code="config.repository", hint="`on` or `off`")
    return text == "on"


def _rate(environment: Mapping[str, str]) -> float:
    text = environment.get("PERENNE_TOKEN_RATE", "0")
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        hint = "a number of requests in a second, 0 for no limit"
        raise Invalid(f"PERENNE_TOKEN_RATE is {text[:40]!r}, which is no rate", code="config.rate", hint=hint)
    return rate


def _artifact_limit(environment: Mapping[str, str]) -> int:
    text = environment.get("PERENNE_ARTIFACT_GIB", "")
    if not text:
        return NO_LIMIT
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 < limit < NO_LIMIT >> 30:
        hint = "a number of GiB, such as 0.5 or 100; leave it out for no limit"
        raise Invalid(f"PERENNE_ARTIFACT_GIB is {text[:40]!r}, which is no size", code="config.artifacts", hint=hint)
    return int(limit * (1 << 30))


def _list(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environment.get(name, "").split(",") if part.strip())


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 5) or int(text) > 65_535:
        raise Invalid(f"{name} is {text[:40]!r}, which is not a port", code="config.port", hint="a number from 0 to 65535")
    return int(text)
