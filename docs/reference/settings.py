"""The page of settings: every environment variable, what it means, and what holds without it."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from docs.reference.markdown import code, escape, table

from perenne.core.config import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]

HEAD = """# Settings

Every process is told its settings by environment variables, and needs no file. Options of the command line go before them.
What the columns on the right mean for a team is on the pages about [storage](../storage.md), [objects](../objects.md),
[governance](../governance.md#listening-elsewhere), [alerts](../alerts.md) and [operations](../operations.md).
"""

OTHERS = {
    "PERENNE_CACHE": ("where objects of a bucket are kept as they are read", "~/.cache/perenne/objects"),
    "PERENNE_CACHE_GIB": ("how much of them is kept, in GiB", "10"),
    "PERENNE_ARTIFACT_GIB": ("how large an artifact may be, in GiB", "no limit"),
    "PERENNE_EVENTS_ALLOW": (
        "`host:port`, with commas between, that CloudEvents and documents may be sent to though it is private",
        "none",
    ),
    "PERENNE_ELASTICSEARCH_URL": (
        "where [Elasticsearch](../alerts.md#elasticsearch-and-kibana) takes drift, alerts and rows",
        "nowhere",
    ),
    "PERENNE_ELASTICSEARCH_KEY": ("its API key", "none"),
    "PERENNE_ELASTICSEARCH_USER": ("or a name, and", "none"),
    "PERENNE_ELASTICSEARCH_PASSWORD": ("its password", "none"),
    "PERENNE_ELASTICSEARCH_CA": ("a file with the certificate authorities that it is checked by", "the system's"),
    "PERENNE_PEER_METRICS": (
        "`0` leaves out metrics under others' names, and the timing of each request's parts",
        "shown",
    ),
    "PERENNE_WEBHOOK_ALLOW": ("`host:port`, with commas between, that webhooks may tell though it is private", "none"),
    "PERENNE_SECRET_KEY": ("with what secrets of webhooks are sealed: 32 characters or more", "`.perenne/secret.key`"),
    "PERENNE_SIGNING_KEY": ("the key that versions are signed with: a file, or the PEM text itself", "`.perenne/signing.pem`"),
    "PERENNE_SIGNING_KEY_PASSWORD": ("the password of that key, if it has one", "none"),
    "PERENNE_REQUIRE_SIGNATURE": (
        "what a model server asks of signatures at least: `off`, `warn` or `on`",
        "as the release says",
    ),
    "PERENNE_TRUSTED_KEYS": ("files of public keys, with commas between, that count", "the release's"),
    "PERENNE_ADVISORIES": ("where advisories come from: a folder or zip of OSV records, or an API", "nowhere"),
    "PERENNE_BILL_POLICY": ("a file that says how the parts of versions are judged", "none"),
    "PERENNE_MLFLOW_PYTHON": ("the Python of an environment with mlflow, for models that are code", "this one"),
    "PERENNE_ALERT_WEBHOOK": ("https address to which alerts are posted", "the log only"),
    "PERENNE_ALERT_SECRET": ("with what these posts are signed (HMAC-SHA256)", "no signature"),
    "PERENNE_ALERT_ALLOW": ("`host:port`, with commas between, that may be private or plain http", "none"),
    "PERENNE_ALERT_URL": ("where the pages are, for links in [messages](../alerts.md)", "where this server listens"),
    "PERENNE_LOG": ("`json` or `text`", "text on a terminal, JSON elsewhere"),
    "PERENNE_LOG_LEVEL": ("`debug`, `info`, `warning` or `error`", "info"),
    "PERENNE_LOG_FILE": ("a file that gets the JSON lines as well", "none"),
    "PERENNE_ACCESS_LOG": ("requests that are logged: `all`, `problems` or `off`", "problems"),
    "PERENNE_TRACES": ("`on` or `off`; see [traces](../operations.md#traces)", "as the standard variables say"),
    "PERENNE_URL": ("the server to which `perenne.start_run` logs", "`MLFLOW_TRACKING_URI`, else the workspace here"),
    "PERENNE_TOKEN": ("the token that is shown to that server", "`MLFLOW_TRACKING_TOKEN`, else none"),
    "PERENNE_CA": ("a file with the certificate authorities that servers are checked by", "the system's"),
    "PERENNE_EXPERIMENT": ("the experiment of a run that names none", "`MLFLOW_EXPERIMENT_NAME`, else `Default`"),
    "PERENNE_RUN_ID": ("the id of the next run that is started; `runs reproduce` sets it", "a new id"),
    "PERENNE_REPRODUCES": ("the run that is made again; `runs reproduce` sets it", "none"),
    "PERENNE_RELEASE": ("the release folder that an [image](../images.md#running-it) serves", "`/model`"),
    "PERENNE_WORKERS": ("processes that answer, in an image", "1"),
    "PERENNE_TOKENS": ("a file of tokens, one of which callers of an image must show", "anybody may call"),
    "PERENNE_DRAIN": ("seconds for which an image, told to stop, says so before it stops accepting", "0"),
    "PERENNE_DEBUG": ("show the traceback of an unexpected error", "one line"),
}
"""Variables that are read where they are used; `tests/docs/test_site.py` holds this list against the code."""


def page() -> str:
    """Write the page."""
    rows = [*settings(), *((code(name), *words) for name, words in OTHERS.items())]
    return f"{HEAD}\n{table(['variable', 'what', 'if not set'], rows)}"


def settings() -> Iterator[tuple[str, str, str]]:
    """Go through the fields of `Settings`."""
    words, defaults = _attributes(), load_settings(Path("/project"), {})
    for field in msgspec.structs.fields(Settings):
        default = getattr(defaults, field.name)
        shown = "" if default in ("", ()) else str(default).replace("/project/", "…/")
        yield code(f"PERENNE_{field.name.upper()}"), escape(words[field.name]), code(shown) or "none"


def _attributes() -> dict[str, str]:
    text = inspect.getdoc(Settings) or ""
    body = text.partition("Attributes\n----------\n")[2]
    found: dict[str, str] = {}
    for match in re.finditer(r"^(\w[\w, ]*) : .*\n((?:[ ]+.*\n?)+)", body, re.MULTILINE):
        for name in match[1].split(", "):
            found[name] = " ".join(match[2].split())
    return found


def variables() -> set[str]:
    """Return the names of all variables that the code reads, but those whose name only a shell or test makes up."""
    texts = (path.read_text() for path in (ROOT / "src").rglob("*.py"))
    return {name for text in texts for name in re.findall(r"\"(PERENNE_[A-Z]+(?:_[A-Z]+)*)\"", text)}
