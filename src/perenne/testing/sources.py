"""The contract of a store of MLflow that is read."""

from pathlib import Path

from perenne.protocols.mlflow.migration.source import Source


class SourceContract:
    """What every source does. Give it a fixture `source`: a store with an experiment `churn` and a run `deep one` in it."""

    def test_experiments_come_in_the_order_of_their_ids(self, source: Source) -> None:
        """Ids are numbers, as texts."""
        ids = [int(item.id) for item in source.experiments()]
        assert ids == sorted(ids)

    def test_a_runs_metrics_come_each_together(self, source: Source) -> None:
        """The pieces of a metric follow one another, and their columns are of one length."""
        for run in self._runs(source):
            keys = [piece.key for piece in source.points(run)]
            assert len(list(dict.fromkeys(keys))) == sum(1 for at, key in enumerate(keys) if at == 0 or keys[at - 1] != key)
            assert all(len(one.steps) == len(one.times) == len(one.values) > 0 for one in source.points(run))

    def test_artifacts_are_listed_and_fetched(self, source: Source, tmp_path: Path) -> None:
        """What is fetched has the size that was told."""
        fetched = 0
        for item in source.experiments():
            for run in source.runs(item.id):
                for file in source.artifacts(run.artifacts).files:
                    source.artifacts(run.artifacts).fetch(file.path, tmp_path / "fetched")
                    assert (tmp_path / "fetched").stat().st_size == file.size
                    fetched += 1
        assert fetched

    def test_what_is_not_there_is_empty(self, source: Source, tmp_path: Path) -> None:
        """A place without artifacts has no files."""
        assert list(source.artifacts(str(tmp_path / "nowhere")).files) == []

    @staticmethod
    def _runs(source: Source) -> list[str]:
        return [run.id for item in source.experiments() for run in source.runs(item.id)]
