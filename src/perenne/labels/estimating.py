"""Probabilities of classes for rows that the model did not see: cross-validated, over the columns of a table and its texts."""

from typing import TYPE_CHECKING, Any, NamedTuple

from perenne.core.errors import Conflict

if TYPE_CHECKING:
    import pyarrow as pa

LONG_TEXT = 30
"""Characters above which a text is read word by word, on average; others are categories."""
_MOST_WORDS = 20_000
_MOST_LEVELS = 50
_MANY = 20_000


class Estimate(NamedTuple):
    """What a model says of rows it did not see.

    Attributes
    ----------
    judged : list of int
        The rows with a label of a class that is frequent enough.
    probabilities : array, (judged, classes)
        Out of fold.
    accuracy : float
        How often the most probable class is the label.
    uncertain : list of (int, float)
        Rows without a label, and how uncertain the model of all labels is of each: 1 less its highest probability.
    left_out : list of int
        Classes with one label.
    """

    judged: list[int]
    probabilities: Any
    accuracy: float
    uncertain: list[tuple[int, float]]
    left_out: list[int]


def out_of_fold(table: "pa.Table", labels: list[int], classes: int, *, text: str = "", folds: int = 5, seed: int = 0) -> Estimate:
    """Estimate the class of each row by models that were fitted on the others.

    Parameters
    ----------
    labels : list of int
        The place of the class of each row; -1 where none is known.
    text : str
        A column that is read word by word, whatever its length.

    Raises
    ------
    Conflict
        If fewer than two classes have two labels.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    y = np.asarray(labels)
    number = np.bincount(y[y >= 0], minlength=classes)
    usable = np.flatnonzero(number >= 2)
    if len(usable) < 2:
        raise Conflict("there are too few labels to learn from", code="label.too_few", hint="two classes with two labels each")
    judged = np.flatnonzero(np.isin(y, usable))
    columns = _columns(table, text)
    p = np.zeros((len(judged), classes))
    parts = StratifiedKFold(min(folds, int(number[usable].min())), shuffle=True, random_state=seed)
    for train, test in parts.split(judged, y[judged]):
        p[test] = _fitted(columns, judged[train], y, classes, seed)(judged[test])
    open_ = np.flatnonzero(y < 0)
    doubts = 1 - _fitted(columns, judged, y, classes, seed)(open_).max(1) if len(open_) else np.zeros(0)
    accuracy = float((p.argmax(1) == y[judged]).mean())
    uncertain = list(zip(open_.tolist(), doubts.tolist(), strict=True))
    return Estimate(judged.tolist(), p, accuracy, uncertain, np.flatnonzero(number == 1).tolist())


class _Columns(NamedTuple):
    """The columns of a table by how they are read: numbers, categories, texts."""

    numbers: list[Any]
    categories: list[Any]
    texts: list[Any]


def _columns(table: "pa.Table", text: str) -> _Columns:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _Columns([], [], [])
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_string(column.type):
            values = np.array([value or "" for value in column.to_pylist()], object)
            long = name == text or (pc.mean(pc.utf8_length(column)).as_py() or 0) > LONG_TEXT
            (found.texts if long else found.categories).append(values)
        else:
            plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            found.numbers.append(np.array(plain.cast(pa.float64(), safe=False).to_numpy(), float))
    return found


def _fitted(columns: _Columns, rows: Any, y: Any, classes: int, seed: int) -> Any:
    """Fit on some rows; return what gives the probabilities of others. Nothing is learnt from rows outside."""
    return (_by_words if columns.texts else _by_trees)(columns, rows, y, classes, seed)


def _by_trees(columns: _Columns, rows: Any, y: Any, classes: int, seed: int) -> Any:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=_MOST_LEVELS)
    names = np.column_stack(columns.categories) if columns.categories else np.empty((len(y), 0), object)
    if columns.categories:
        encoder.fit(names[rows])

    told = [values for values in columns.numbers if np.isfinite(values[rows]).any()]

    def features(some: Any) -> Any:
        parts = [np.zeros((len(some), 1)), *(values[some, None] for values in told)]
        return np.hstack([*parts, encoder.transform(names[some])] if columns.categories else parts)

    model = HistGradientBoostingClassifier(max_iter=80, early_stopping=False, random_state=seed, min_samples_leaf=10)
    with _threads(len(rows)):
        model.fit(features(rows), y[rows])

    def estimate(some: Any) -> Any:
        with _threads(len(some)):
            return _spread(model.predict_proba(features(some)), model.classes_, classes)

    return estimate


def _threads(rows: int) -> Any:
    """Keep to one thread for few rows: threads that wait for each other cost more than they save."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1 if rows < _MANY else None)


def _by_words(columns: _Columns, rows: Any, y: Any, classes: int, seed: int) -> Any:
    import numpy as np
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    words = [TfidfVectorizer(sublinear_tf=True, max_features=_MOST_WORDS) for _ in columns.texts]
    kept = [(each, _known(each, values[rows])) for each, values in zip(words, columns.texts, strict=True)]
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_LEVELS)
    names = np.column_stack(columns.categories) if columns.categories else np.empty((len(y), 0), object)
    if columns.categories:
        levels.fit(names[rows])
    told = [values for values in columns.numbers if np.isfinite(values[rows]).any()]
    centres = [(np.nanmean(values[rows]), np.nanstd(values[rows]) or 1.0) for values in told]

    def features(some: Any) -> Any:
        parts = [sparse.csr_matrix((len(some), 1))]
        parts += [each.transform(values[some]) for (each, fits), values in zip(kept, columns.texts, strict=True) if fits]
        scaled = [(values[some] - middle) / spread for values, (middle, spread) in zip(told, centres, strict=True)]
        parts += [sparse.csr_matrix(np.nan_to_num(each)[:, None]) for each in scaled]
        return sparse.hstack([*parts, levels.transform(names[some])] if columns.categories else parts).tocsr()

    model = LogisticRegression(C=10.0, max_iter=300, random_state=seed)
    model.fit(features(rows), y[rows])
    return lambda some: _spread(model.predict_proba(features(some)), model.classes_, classes)


def _known(words: Any, texts: Any) -> bool:
    """Learn the words of some texts; tell whether there are any."""
    try:
        words.fit(texts)
    except ValueError:  # only blanks
        return False
    return True


def _spread(p: Any, known: Any, classes: int) -> Any:
    import numpy as np

    found = np.zeros((len(p), classes))
    found[:, known] = p
    return found
