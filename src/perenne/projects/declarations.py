"""`Project`: what a `project.py` makes and declares its dataset, model and policy on. It collects; later domains interpret."""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from perenne.core.clock import DAY, parse_duration
from perenne.core.errors import Invalid
from perenne.projects.expect import Expectation
from perenne.projects.gates import Gate, merged
from perenne.projects.model import Guardrail, Labels, Milestone, Objective, Person, Proof, Window
from perenne.projects.retraining import RetrainPolicy
from perenne.projects.watching import Monitoring

T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Dataset:
    """A declared source of rows.

    Attributes
    ----------
    name : str
        The function's name.
    function : callable
        Returns a table or a path; takes the `Window` asked for, or nothing.
    time : str, optional
        The column that says when a row was known; rows outside the window are left out.
    key : str, optional
        The column that names a row.
    expect : tuple of Expectation
        What validation checks beside the schema.
    schema : str
        The file of its schema within the project; `schemas/<name>.yaml` if that is there and none is given.
    labels : Labels, optional
        The label set whose labels stand beside the rows; rows without one are left out.
    """

    name: str
    function: Callable[..., Any]
    time: str | None = None
    key: str | None = None
    expect: tuple[Expectation, ...] = ()
    schema: str = ""
    labels: Labels | None = None

    def __call__(self, window: Window | None = None) -> Any:
        """Call the user's function for a window."""
        takes_window = len(inspect.signature(self.function).parameters) > 0
        return self.function(window) if takes_window else self.function()


@dataclass(frozen=True)
class Model:
    """A declared model.

    Attributes
    ----------
    name : str
        The function's name.
    function : callable
        `(X, y, params) -> estimator`: X is float32 (rows, encoded columns), NaN where a number is missing.
    target : str
        The column to predict.
    dataset : Dataset
        Where rows come from.
    candidates : tuple of dict
        The parameters to try.
    ignore : tuple of str
        Columns that may not be used.
    positive : str, optional
        The level of a binary target that counts as positive; else the one that sorts last.
    """

    name: str
    function: Callable[..., Any]
    target: str
    dataset: Dataset
    candidates: tuple[Mapping[str, Any], ...] = ({},)
    ignore: tuple[str, ...] = ()
    positive: str | None = None


class Project:
    """A use case, stated as code: problem, owner, objectives, guardrails, data, model and when to retrain.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens; the name of the model and of its deployment.
    problem, owner : str
        What it is for, and who answers for it.
    objectives, guardrails : sequence
        What the model must reach, and what must not get worse.
    scope : str
        What is in and out of it.
    plan : sequence of Milestone
        Dates, what is to be there by then, and what proves it.
    people : sequence of Person
        Who takes part, and as what.
    window : str
        The length of a monitoring window, unless `monitoring` has them by the calendar.
    gates : sequence of Gate
        What a version must show before it is delivered, beside what objectives and guardrails say.
    monitoring : Monitoring, optional
        How its deployments are watched.

    >>> project = Project("churn", problem="Call in time.", owner="crm", objectives=[Objective("roc_auc", at_least=0.7)])
    >>> project.name
    'churn'
    """

    def __init__(
        self,
        name: str,
        *,
        problem: str,
        owner: str,
        objectives: Sequence[Objective] = (),
        guardrails: Sequence[Guardrail] = (),
        scope: str = "",
        plan: Sequence[Milestone] = (),
        people: Sequence[Person] = (),
        window: str = "1d",
        gates: Sequence[Gate] = (),
        monitoring: Monitoring | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"project name {name!r} cannot be used",
                code="project.name",
                hint="lower-case letters, digits and hyphens, at most 63",
            )
        self.name = name
        self.problem = problem
        self.owner = owner
        self.objectives = _bounds(objectives, Objective)
        self.guardrails = _bounds(guardrails, Guardrail)
        self.scope = scope
        self.plan = tuple(_milestones(plan))
        self.people = _all_of(people, Person, "people")
        self.window = parse_duration(window)
        if DAY % self.window and self.window % DAY:
            raise Invalid(f"window {window!r} does not fit into days", code="project.window", hint="for example 1h, 6h, 1d, 7d")
        self.gates = merged(gates, ())
        if not isinstance(monitoring, Monitoring | None):
            raise Invalid(
                f"monitoring is {type(monitoring).__name__!r}",
                code="project.monitoring",
                hint="write monitoring=pn.Monitoring(minimum_rows=200)",
            )
        self.monitoring = monitoring or Monitoring()
        self.window = self.monitoring.length or self.window
        self.guardrails = tuple(self._known(bound) for bound in self.guardrails)
        self.datasets: dict[str, Dataset] = {}
        self.models: dict[str, Model] = {}
        self.policy: RetrainPolicy | None = None

    def _known(self, guardrail: Guardrail) -> Guardrail:
        """Mark a guardrail that can be held in production only. Raises Invalid if it compares callers in no outcome."""
        outcome = guardrail.metric in {outcome.name for outcome in self.monitoring.outcomes}
        if guardrail.against and not outcome:
            raise Invalid(
                f"guardrail {guardrail.id}: {guardrail.metric!r} is no declared outcome",
                code="project.outcome",
                hint=f'write monitoring=pn.Monitoring(outcomes=[pn.Outcome("{guardrail.metric}")])',
            )
        return msgspec.structs.replace(guardrail, later=outcome or guardrail.by in self.monitoring.sensitive)

    def dataset(
        self,
        *,
        time: str | None = None,
        key: str | None = None,
        expect: Expectation | Sequence[Expectation] = (),
        schema: str = "",
        labels: Labels | None = None,
    ) -> Callable[[Callable[..., Any]], Dataset]:
        """Declare a function that returns rows: any table, a path, or what narwhals can read; see `Dataset`."""
        expectations = (expect,) if isinstance(expect, Expectation) else tuple(expect)

        def declare(function: Callable[..., Any]) -> Dataset:
            declared = Dataset(function.__name__, function, time, key, expectations, schema, labels)
            self.datasets[declared.name] = declared
            return declared

        return declare

    def model(
        self,
        *,
        target: str,
        data: Dataset,
        search: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] = (),
        ignore: Sequence[str] = (),
        positive: str | None = None,
    ) -> Callable[[Callable[..., Any]], Model]:
        """Declare a function that returns an estimator.

        Parameters
        ----------
        target : str
            The column to predict.
        data : Dataset
            Where rows come from.
        search : mapping or sequence
            The parameters to try: a grid as ``{"name": [values]}``, or a list of parameter sets.
        ignore : sequence of str
            Columns that must not be used, because they are not known in time or must not matter.
        positive : str, optional
            The level of a binary target that counts as positive.
        """
        if not isinstance(data, Dataset):
            raise Invalid(
                "project.model(data=…) is not a dataset",
                code="project.data",
                hint="pass a function declared with @project.dataset",
            )
        candidates = tuple(_candidates(search))

        def declare(function: Callable[..., Any]) -> Model:
            declared = Model(function.__name__, function, target, data, candidates, tuple(ignore), positive)
            self.models[declared.name] = declared
            return declared

        return declare

    def retrain(self, **policy: Any) -> RetrainPolicy:
        """State when to retrain and what must happen before a challenger is promoted; see `RetrainPolicy`."""
        self.policy = RetrainPolicy.of(**policy)
        return self.policy

    @property
    def only_model(self) -> Model:
        """The declared model. Raises Invalid if there is none, or several."""
        if len(self.models) != 1:
            raise Invalid(
                f"project {self.name} declares {len(self.models)} models",
                code="project.models",
                hint="declare one with @project.model",
            )
        return next(iter(self.models.values()))


def _bounds(bounds: Sequence[Any], kind: type) -> tuple[Any, ...]:
    for bound in bounds:
        if not isinstance(bound, kind):
            raise Invalid(
                f"{bound!r} is not an {kind.__name__}",
                code="project.bound",
                hint='write pn.Objective("roc_auc", at_least=0.8), or pn.Guardrail',
            )
    identities = [bound.id for bound in bounds]
    for identity in identities:
        if identities.count(identity) > 1:
            raise Invalid(f"two bounds on {identity}", code="project.bound", hint="state each metric once per column")
    return tuple(bounds)


def _milestones(plan: Sequence[Milestone]) -> Iterator[Milestone]:
    for milestone in _all_of(plan, Milestone, "plan"):
        if milestone.evidence and milestone.evidence not in set(Proof):
            known = ", ".join(Proof)
            raise Invalid(
                f"milestone {milestone.title!r} is proved by {milestone.evidence!r}, which nothing records",
                code="project.evidence",
                hint=f"evidence is one of: {known}",
            )
        yield milestone


def _all_of(items: Sequence[T], kind: type[T], what: str) -> tuple[T, ...]:
    for item in items:
        if not isinstance(item, kind):
            raise Invalid(
                f"{what}: {item!r} is no {kind.__name__}",
                code=f"project.{what}",
                hint="`perenne init` writes a project.py that shows how",
            )
    return tuple(items)


def _candidates(search: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(search, Mapping):
        names = list(search)
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*search.values())]
    return [dict(candidate) for candidate in search] or [{}]
