"""What can be wrong with a run, an experiment, or what is logged to a run. What is told besides the words is for the edges.

::

    NotFound  run.not_found, experiment.not_found, logged_model.not_found, run.tag_not_found, experiment.tag_not_found,
              logged_model.tag_not_found
    Conflict  run.deleted, experiment.deleted, experiment.not_deleted, experiment.exists
    Invalid   param.changed, run.name_twice, and of `Unfit`: log.missing, log.characters, log.path, log.long, log.timestamp,
              log.too_many, log.twice
"""

from collections.abc import Sequence

from perenne.core.errors import Conflict, Invalid, NotFound


class Unfit(Invalid):
    """A value that does not fit its limits.

    Attributes
    ----------
    field : str
        Which one, as in ``metrics[3].key``; without the place where there is but one.
    value : object
        What was given: the text, or how many there are; of what stands twice, the names.
    limit : int
        What would have been allowed at most, where that is what is wrong.
    """

    def __init__(self, message: str, *, code: str, hint: str = "", field: str, value: object, limit: int = 0) -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field
        self.value = value
        self.limit = limit


class ParamChanged(Invalid):
    """A parameter has another value already, and keeps it.

    Attributes
    ----------
    run : str
        The run's id.
    changes : tuple of (name, old value, new value)
        Which parameters.
    """

    def __init__(self, run: str, changes: Sequence[tuple[str, str, str]]) -> None:
        name, old, new = changes[0]
        more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
        super().__init__(
            f"parameter {name!r} of run {run} is {old[:100]!r} and cannot become {new[:100]!r}{more}",
            code="param.changed",
            hint="a parameter keeps its first value; log another name, or a tag",
        )
        self.run = run
        self.changes = tuple(changes)


class Deleted(Conflict):
    """A run or an experiment was deleted: it can be read and restored, and nothing else.

    Attributes
    ----------
    identity : str
        Its id.
    """

    def __init__(self, kind: str, identity: str) -> None:
        super().__init__(f"{kind} {identity} is deleted", code=f"{kind}.deleted", hint="restore it first")
        self.identity = identity


class UnknownRun(NotFound):
    """There is no such run, or it may not be seen. `identity` is what was asked for."""

    def __init__(self, identity: str) -> None:
        super().__init__(
            f"run {identity[:100]!r} does not exist", code="run.not_found", hint="`perenne runs list` shows those that do"
        )
        self.identity = identity


class UnknownExperiment(NotFound):
    """There is no such experiment, or it may not be seen. `identity` is its number or name as it was asked for."""

    def __init__(self, identity: object) -> None:
        super().__init__(
            f"experiment {str(identity)[:100]!r} does not exist", code="experiment.not_found", hint="is the name right?"
        )
        self.identity = identity


class UnknownTag(NotFound):
    """A run, an experiment or a logged model has no such tag."""

    def __init__(self, kind: str, identity: object, key: str) -> None:
        super().__init__(f"{kind} {identity} has no tag {key[:100]!r}", code=f"{kind}.tag_not_found")
        self.identity = identity
        self.key = key


class UnknownModel(NotFound):
    """There is no such logged model, or it may not be seen. `identity` is what was asked for."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"logged model {identity[:100]!r} does not exist", code="logged_model.not_found")
        self.identity = identity


class NameTwice(Invalid):
    """A run's name and its tag `mlflow.runName` differ."""

    def __init__(self, name: str, tag: str) -> None:
        super().__init__(
            f"the run's name is {name[:100]!r} and its tag mlflow.runName {tag[:100]!r}",
            code="run.name_twice",
            hint="give one of them",
        )
        self.name = name
        self.tag = tag
