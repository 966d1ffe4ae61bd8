"""What moved single answers, asked of the version that gives them: beside the event loop, one request after the other."""

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Attribution, explain
from perenne.net.aside import Aside
from perenne.serving.background import Background, background_of, explainable
from perenne.serving.loading import LoadedVersion
from perenne.stats.columns import Columns, take

MAX_ROWS = 100
_REMEMBERED = 8


class NotExplained(PerenneError):
    """The model's answers cannot be traced back to single inputs."""

    status = 501

    def __init__(self) -> None:
        super().__init__("this model's answers cannot be explained: it takes or answers tensors", code="NOT_IMPLEMENTED")


class Explainer:
    """Explains answers, and tells what versions know of their inputs. An explanation is no prediction: it is not logged.

    One thread does it all, so that explanations never take more than a core from those who ask for predictions.
    """

    def __init__(self) -> None:
        self._aside = Aside("perenne-explain")
        self._known: dict[str, Background] = {}
        self.close = self._aside.close

    async def background(self, loaded: LoadedVersion) -> Background:
        """Return what a version knows of its inputs."""
        known = self._known.get(loaded.tree)
        if known is None:
            known = await self._aside.run(lambda: background_of(loaded))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[loaded.tree] = known
        return known

    async def explain(self, loaded: LoadedVersion, columns: Columns, rows: int) -> list[list[Attribution]]:
        """Explain the answer to each row, the strongest input first.

        Raises
        ------
        NotExplained
            If the model takes or answers tensors.
        Invalid
            If there are too many rows at once.
        Unavailable
            If too many others wait for theirs.
        """
        if not explainable(loaded.signature):
            raise NotExplained
        if rows > MAX_ROWS:
            raise Invalid(f"at most {MAX_ROWS} rows are explained at once, here are {rows:,}", code="INVALID_PARAMETER_VALUE")
        background = await self.background(loaded)
        typical = {name: known.typical for name, known in background.inputs.items() if known.typical is not None}

        def explained() -> list[list[Attribution]]:
            alone = (take(columns, slice(row, row + 1)) for row in range(rows))
            return [explain(loaded.predictor, row, typical) for row in alone]

        return await self._aside.run(explained)
