"""Starting a run: under which name and id, from which code, data and environment, and whether it was done before."""

import getpass
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from perenne.core.config import load_settings
from perenne.core.errors import Conflict, PerenneError, Unavailable
from perenne.core.hashing import key_of
from perenne.core.ids import new_id
from perenne.storage.file_objects import FileObjects
from perenne.tracking.client import contents, session
from perenne.tracking.client.destination import configured, open_destination
from perenne.tracking.client.names import checked_key
from perenne.tracking.client.records import Begin
from perenne.tracking.client.run import ActiveRun
from perenne.tracking.client.system import watch
from perenne.tracking.model import FINGERPRINT, FOLDER, REPRODUCES, Provenance
from perenne.tracking.provenance import capture

DEFAULT_EXPERIMENT = "Default"


class AlreadyDone(Conflict):
    """The same was done before: same code, parameters, data and environment.

    Attributes
    ----------
    run : str
        The id of the run that did it.
    """

    run: str = ""


def start_run(
    name: str = "",
    *,
    experiment: str = "",
    run_id: str = "",
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    data: Iterable[str | Path] = (),
    seed: int = 0,
    nested: bool = False,
    unless_done: bool = False,
    system_metrics: bool | float = False,
    code: bool = True,
) -> ActiveRun:
    """Start a run, to be used in a `with` block or ended by its method `end`.

    Parameters
    ----------
    name, experiment : str
        What the run is called, and where it belongs: else `PERENNE_EXPERIMENT`, `MLFLOW_EXPERIMENT_NAME`, or `Default`.
    run_id : str
        Go on with this run instead of making one.
    params, tags, data, seed
        Logged at once; `data` names files and folders that are read, of which the digests are kept.
    nested : bool
        Whether it is a part of the active run.
    unless_done : bool
        Raise AlreadyDone if a finished run of the experiment has the same code, command, parameters, data, environment and seed.
    system_metrics : bool or float
        Log processor, memory, disk, network and graphics cards every ten, or so many, seconds.
    code : bool
        Whether to keep the state of the code: commit, uncommitted changes, files Git does not know, packages.

    Raises
    ------
    AlreadyDone, Conflict, Invalid
        See `unless_done`; if a run is active and this one not nested; if a name, path or URL cannot be taken.
    """
    outer = session.active_run()
    if outer is not None and not nested:
        raise Conflict(f"run {outer.id} is active", code="client.active", hint="end it first, or start this one with nested=True")
    given = {checked_key(key): str(value) for key, value in (params or {}).items()}
    own_tags = {checked_key(key): str(value) for key, value in (tags or {}).items()}
    paths = [Path(item) for item in data]
    chosen = experiment or (outer.experiment if outer is not None else _default_experiment())
    begin = _begin(name, chosen, run_id, given, own_tags, paths, seed, outer, code=code)
    if unless_done:
        _refuse_if_done(begin.destination, chosen, begin.tags[FINGERPRINT])
    run = ActiveRun(begin, load_settings().outgoing)
    session.enter(run)
    run.log_params(given)
    for path in paths:
        run.log_input(path)
    if system_metrics:
        run.watch(lambda run: watch(run, 10.0 if system_metrics is True else float(system_metrics)))
    return run


def _begin(
    name: str,
    experiment: str,
    run_id: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    paths: Iterable[Path],
    seed: int,
    outer: ActiveRun | None,
    *,
    code: bool,
) -> Begin:
    """Say which run it is, and all that its result depends on."""
    objects = FileObjects(load_settings().outgoing / "objects", durable=False)
    made_with = _capture(objects, seed) if code else Provenance(seed=seed)
    digests = tuple(contents.digest_of(path) for path in paths)
    found = _tags(made_with, fingerprint_of(made_with, params, digests), outer)
    chosen = os.environ.pop("PERENNE_RUN_ID", "")  # it is for one run
    return Begin(
        run=run_id or chosen or new_id(),
        attach=bool(run_id),
        destination=configured(),
        experiment=experiment,
        name=name,
        user=_user(),
        kind="script",
        started=time.time_ns() // 1_000,
        tags={**found, **tags},
        data=digests,
        provenance=made_with,
    )


def fingerprint_of(made_with: Provenance, params: Mapping[str, str], data: Iterable[str]) -> str:
    """Return what equal runs have in common and no others: code, command, parameters, data, environment and seed."""
    code = [made_with.commit, made_with.patch, made_with.untracked, made_with.source, made_with.command]
    return key_of(code, dict(params), sorted(data), made_with.environment, made_with.python, made_with.seed)


def _refuse_if_done(url: str, experiment: str, fingerprint: str) -> None:
    destination = open_destination(url, load_settings())
    try:
        found = destination.find_done(experiment, fingerprint)
    except Unavailable as error:
        session.log.warning("whether this was done before cannot be told: %s", error)
        return
    finally:
        destination.close()
    if found:
        done = AlreadyDone(
            f"run {found} of {experiment!r} did the same: same code, parameters, data and environment",
            code="run.done",
            hint=f"`perenne runs show {found}` has its result; leave `unless_done` out to do it again",
        )
        done.run = found
        raise done


def _capture(objects: FileObjects, seed: int) -> Provenance:
    try:
        return capture(objects, Path.cwd(), seed=seed, command=_command(), sources=list(_own_modules(Path.cwd())))
    except (OSError, PerenneError) as error:  # a full disk keeps no training from starting
        session.log.warning("the state of the code could not be kept: %s", error)
        return Provenance(seed=seed, command=_command())


def _own_modules(root: Path) -> Iterable[Path]:
    """Go through the files of modules that are loaded from below a folder, and not installed there."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None
        if path is None or not path.is_relative_to(root) or not path.is_file():
            continue
        if not {"site-packages", "dist-packages"} & set(path.parts):
            yield path


def _command() -> str:
    """Return what was typed, with the interpreter by its plain name."""
    return shlex.join(["python", *sys.orig_argv[1:]])


def _tags(made_with: Provenance, fingerprint: str, outer: ActiveRun | None) -> dict[str, str]:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    found = {
        "mlflow.source.name": str(main or made_with.command),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": made_with.commit,
        "mlflow.source.git.branch": made_with.branch,
        "mlflow.parentRunId": outer.id if outer is not None else "",
        FINGERPRINT: fingerprint,
        FOLDER: _prefix() if made_with.commit else "",
        REPRODUCES: os.environ.get("PERENNE_REPRODUCES", ""),
    }
    return {key: value for key, value in found.items() if value}


def _prefix() -> str:
    """Return where in its repository this folder lies; empty at its top."""
    done = subprocess.run(["git", "rev-parse", "--show-prefix"], capture_output=True, text=True, check=False)
    return done.stdout.strip().rstrip("/") if done.returncode == 0 else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _default_experiment() -> str:
    return os.environ.get("PERENNE_EXPERIMENT") or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT
