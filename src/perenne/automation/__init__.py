"""The loop that runs by itself: one round, retraining episodes, stop, `why` and `status`.

`round` is the standard pipeline and `rounds` runs it and keeps its result; `episodes` moves a retraining through its states,
`deciding` says where it goes, pure, so that replay and production ask the same; `advancing` moves it when it is due, `reactions`
when others announce something, `retraining` in the job between; `hearing` matches signals with triggers, `harm` tells what drift
does, `schedules` opens episodes by calendar and by what lasts, `triggering` because a person asked, `handling` is what else
people do; `loop` turns, `worker`, `workforce` and `children` do the jobs; `explaining` answers why a prediction is what it is,
`overview` where every stage stands.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.automation import episodes
    from perenne.automation.advancing import ROUND_JOB
    from perenne.automation.children import run_child
    from perenne.automation.episodes import history, list_episodes
    from perenne.automation.explaining import Why, why
    from perenne.automation.loop import Loop
    from perenne.automation.model import Episode, EpisodeState
    from perenne.automation.overview import WORST_FIRST, Status, status
    from perenne.automation.reactions import Reactions
    from perenne.automation.retraining import run_round_job
    from perenne.automation.rounds import run_round
    from perenne.automation.worker import Handler, Worker
    from perenne.automation.workforce import Workforce

_ROOMS = {
    "Episode": "model",
    "EpisodeState": "model",
    "Handler": "worker",
    "Loop": "loop",
    "ROUND_JOB": "advancing",
    "Reactions": "reactions",
    "Status": "overview",
    "WORST_FIRST": "overview",
    "Why": "explaining",
    "Worker": "worker",
    "Workforce": "workforce",
    "list_episodes": "episodes",
    "history": "episodes",
    "run_child": "children",
    "run_round": "rounds",
    "run_round_job": "retraining",
    "status": "overview",
    "why": "explaining",
}

__all__ = [
    "ROUND_JOB",
    "WORST_FIRST",
    "Episode",
    "EpisodeState",
    "Handler",
    "Loop",
    "Reactions",
    "Status",
    "Why",
]
__all__ += [
    "Worker",
    "Workforce",
    "episodes",
    "history",
    "list_episodes",
    "run_child",
    "run_round",
    "run_round_job",
    "status",
    "why",
]


def __getattr__(name: str) -> Any:
    if name == "episodes":
        return import_module(f"{__name__}.episodes")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
