"""MLflow's scorers, as texts with versions."""

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, some
from perenne.protocols.mlflow.wire import MlflowError, Words, wrong
from perenne.protocols.mlflow.words import ABSENT


class RegisterScorer(Message):
    """A new version of a scorer."""

    required = ("experiment_id", "name", "serialized_scorer")
    experiment_id: str = ""
    name: str = ""
    serialized_scorer: str = ""


class ListScorers(Message):
    """Whose scorers: of one experiment, of some (of none of them none), or of all."""

    experiment_id: str = ""
    experiment_ids: list[str] | UnsetType = UNSET


class NamedScorer(Message):
    """A scorer, and which version of it."""

    required = ("experiment_id", "name")
    experiment_id: str = ""
    name: str = ""
    version: Int32 | UnsetType = UNSET


class OnlineConfigs(Message):
    """Which scorers' settings are asked for."""

    required = ("scorer_ids",)
    scorer_ids: list[str] | UnsetType = UNSET


class OnlineConfig(Message):
    """By which a scorer would run by itself."""

    experiment_id: str = ""
    name: str = ""


class Scorer(msgspec.Struct):
    """A version of a scorer."""

    experiment_id: int
    scorer_name: str
    scorer_version: int
    serialized_scorer: str
    creation_time: int
    scorer_id: str


class Registered(msgspec.Struct):
    """A version of a scorer that was just kept."""

    version: int
    scorer_id: str
    experiment_id: str
    name: str
    serialized_scorer: str
    creation_time: int


class OneScorer(msgspec.Struct):
    """A scorer."""

    scorer: Scorer


class Scorers(msgspec.Struct):
    """Scorers."""

    scorers: list[Scorer] | UnsetType


class Configs(msgspec.Struct):
    """Settings by which scorers run by themselves."""

    configs: list[Scorer] = []


def register(call: Call, asked: RegisterScorer) -> Registered:
    """Keep a scorer's next version."""
    number = experiment_number(asked.experiment_id)
    made = llm.scorers.register(call.tx, call.actor, number, asked.name, asked.serialized_scorer)
    return Registered(made.version, made.id, str(made.experiment), made.name, made.body, made.created)


def list_scorers(call: Call, asked: ListScorers) -> Scorers:
    """List the newest version of each scorer."""
    if asked.experiment_id and asked.experiment_ids is not UNSET:
        raise wrong(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to multiple "
            "experiments, or 'experiment_id' to scope it to a single experiment."
        )
    ids = [asked.experiment_id] if asked.experiment_id else asked.experiment_ids
    numbers = None if ids is UNSET else [experiment_number(identity) for identity in ids]
    return _scorers(llm.scorers.newest(call.tx, call.actor, numbers))


def list_versions(call: Call, asked: NamedScorer) -> Scorers:
    """List every version of a scorer."""
    return _scorers(llm.scorers.versions(call.tx, call.actor, experiment_number(asked.experiment_id), asked.name))


def get_scorer(call: Call, asked: NamedScorer) -> OneScorer:
    """Read a version of a scorer."""
    number = experiment_number(asked.experiment_id)
    return OneScorer(_scorer(llm.scorers.get(call.tx, call.actor, number, asked.name, _version(asked))))


def delete_scorer(call: Call, asked: NamedScorer) -> None:
    """Remove a version of a scorer, or all of them."""
    llm.scorers.delete(call.tx, call.actor, experiment_number(asked.experiment_id), asked.name, _version(asked))


def online_configs(_: Call, __: OnlineConfigs) -> Configs:
    """Say that no scorer runs by itself."""
    return Configs()


def set_online_config(_: Call, __: OnlineConfig) -> None:
    """Say that scorers do not run by themselves here."""
    raise MlflowError("NOT_IMPLEMENTED", "scorers do not run by themselves here: evaluate with a client")


def _version(asked: NamedScorer) -> int | None:
    return None if asked.version is UNSET else asked.version


def _scorers(found: "list[llm.scorers.Scorer]") -> Scorers:
    return Scorers(some([_scorer(one) for one in found]))


def _scorer(one: "llm.scorers.Scorer") -> Scorer:
    return Scorer(one.experiment, one.name, one.version, one.body, one.created, one.id)


_MAY = Action.LOG
_PLACE = "3.0/mlflow/scorers"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}/register", Kind.CHANGE, register, RegisterScorer, _MAY),
    Endpoint("GET", f"{_PLACE}/list", Kind.READ, list_scorers, ListScorers),
    Endpoint("GET", f"{_PLACE}/versions", Kind.READ, list_versions, NamedScorer),
    Endpoint("GET", f"{_PLACE}/get", Kind.READ, get_scorer, NamedScorer),
    Endpoint("DELETE", f"{_PLACE}/delete", Kind.CHANGE, delete_scorer, NamedScorer, _MAY),
    Endpoint("GET", f"{_PLACE}/online-configs", Kind.READ, online_configs, OnlineConfigs),
    Endpoint("PUT", f"{_PLACE}/online-config", Kind.READ, set_online_config, OnlineConfig, _MAY),
]


def _unknown(error: "llm.scorers.UnknownScorer") -> MlflowError:
    which = "" if error.version is None else f" and version {error.version}"
    return MlflowError(ABSENT, f"Scorer with name '{error.name}'{which} not found for experiment {error.experiment}.")


WORDS: Words = {"scorer.not_found": _unknown}
