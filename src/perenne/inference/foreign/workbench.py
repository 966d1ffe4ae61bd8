"""The process in which a foreign model is looked at, compiled and asked: `python -I -m … FD`. What it makes is data alone.

Two rounds over the wire of `guest`: the model's facts, then, for rows to prove parity on, its compiled forms and its own answers.
"""

import json
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.inference import guest
from perenne.inference.compilation import Candidate, candidates, class_name
from perenne.inference.folding import kind_of, split
from perenne.inference.foreign.boosted import (
    lightgbm_ensemble,
    lightgbm_objective,
    read_lightgbm,
    xgboost_ensemble,
    xgboost_objective,
)
from perenne.inference.model import DroppedForm, Form, Signature
from perenne.inference.parity import MAX_ROWS, MAX_SPLITS, ask_source, at_thresholds, parity_rows, with_missing
from perenne.inference.trees import Ensemble, read_ensemble, split_points, to_onnx
from perenne.stats.columns import Task

MEMORY = 16 << 30
CPU_SECONDS = 1_800
SAFE_TYPES = ("sklearn.", "numpy.", "scipy.", "xgboost.", "lightgbm.", "collections.", "builtins.")
"""Where the types of a skops file may come from without being named: none of them runs code of the file's."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of itself.

    Attributes
    ----------
    estimator : str
        Full name of its class.
    task : str
        What it answers; `outputs` where it is no class with a probability and no single number.
    classes : tuple
        Its labels.
    columns : int
        How many inputs it takes; 0 if it does not say.
    names : tuple of str
        Their names; empty if it has none.
    method : str
        How the source is asked: `predict_proba`, `predict` or `transform`.
    trusted_types : tuple of str
        Types of a skops file that were allowed.
    libraries : dict
        Versions at work here.
    """

    estimator: str
    task: Task
    classes: tuple[Any, ...] = ()
    columns: int = 0
    names: tuple[str, ...] = ()
    method: str = "predict"
    trusted_types: tuple[str, ...] = ()
    libraries: dict[str, str] = {}


class Made(NamedTuple):
    """A form on trial, and whether a further one is wanted beside it."""

    candidate: Candidate | DroppedForm
    native: bool = False


class Bench:
    """A model on the bench: an estimator. `XGBoost` and `LightGBM` do the same for boosters."""

    def __init__(self, setting: dict[str, Any]) -> None:
        allowed = _allowed_types(setting["path"]) if setting["form"] == "skops" else []
        self.trusted = allowed
        self.model = guest.load_estimator(setting["path"], setting["form"], allowed)

    def facts(self) -> Facts:
        """Say what it is."""
        model = self.model
        classes: Any = getattr(model, "classes_", None)
        plain = classes is not None and not isinstance(classes, list) and np.ndim(classes) == 1 and len(classes) > 1
        task, method = Task.OUTPUTS, "predict" if hasattr(model, "predict") else "transform"
        if plain and hasattr(model, "predict_proba"):
            task, method = (Task.BINARY if len(classes) == 2 else Task.MULTICLASS), "predict_proba"
        elif method == "predict" and _gives_one_number(model):
            task = Task.REGRESSION
        names = getattr(model, "feature_names_in_", None)
        return Facts(
            estimator=class_name(model),
            task=task,
            classes=tuple(map(_label, np.asarray(classes).tolist())) if method == "predict_proba" else (),
            columns=int(getattr(model, "n_features_in_", 0) or 0),
            names=() if names is None else tuple(map(str, names)),
            method=method,
            trusted_types=tuple(self.trusted),
            libraries=_versions("numpy", "scikit-learn", "skops"),
        )

    def compile(self, signature: Signature, sample: NDArray[Any]) -> Iterator[Made]:
        """Make its compiled forms, best first."""
        booster = _booster_of(self.model)
        if booster is not None:
            yield from booster.compile(signature, sample)
            return
        ensemble = read_ensemble(self.model)
        if ensemble is not None and kind_of(self.model).startswith("Hist"):
            yield Made(Candidate("onnx", "trees", to_onnx(ensemble, wide=True)))
        for candidate in candidates(self.model, signature.task, sample.shape[1]):
            yield Made(candidate)

    def answers(self, signature: Signature, sample: NDArray[Any]) -> dict[str, Any]:
        """Lay out the rows on which forms are compared, and answer them."""
        rows = parity_rows(self.model, sample)
        source = ask_source(self.model, signature, rows)
        return {
            "counts": [rows.real, rows.at_thresholds, rows.missing],
            "rows": rows.matrix,
            "answers": source.prediction.predictions if source.prediction.scores is None else source.prediction.scores,
            "medians": source.medians,
        }


class _Booster:
    """What boosters share: their trees, read from their own files, and their own form beside ONNX."""

    form: Form
    wide = False
    ensemble: Ensemble | None
    data: bytes

    def facts(self) -> Facts:
        """Say what it is."""
        raise NotImplementedError

    def compile(self, signature: Signature, sample: NDArray[Any]) -> Iterator[Made]:
        """Make both forms: trees as ONNX, and the library's own."""
        if self.ensemble is None:
            yield Made(DroppedForm("onnx", "trees: the model has parts that ONNX's trees do not have"))
        else:
            yield Made(Candidate("onnx", "trees", to_onnx(self.ensemble, wide=self.wide)))
        yield Made(Candidate(self.form, "booster", self.data), native=True)

    def answers(self, signature: Signature, sample: NDArray[Any]) -> dict[str, Any]:
        """Lay out the rows on which forms are compared, and answer them."""
        real = sample[:MAX_ROWS]
        splits = [] if self.ensemble is None else split_points(self.ensemble, MAX_SPLITS)
        placed, missing = at_thresholds([(column, float(value)) for column, value in splits], real), with_missing(real)
        rows = np.concatenate([real, placed, missing])
        answers = np.asarray(self.predict(rows), np.float64).reshape(len(rows), -1)
        if signature.task is Task.REGRESSION:
            answers = answers[:, 0]
        elif answers.shape[1] == 1:
            answers = np.concatenate([1.0 - answers, answers], axis=1)
        return {"counts": [len(real), len(placed), len(missing)], "rows": rows, "answers": answers, "medians": None}

    def predict(self, rows: NDArray[Any]) -> Any:
        """Ask the library."""
        raise NotImplementedError


class XGBoost(_Booster):
    """A booster of XGBoost."""

    form: Form = "xgboost"

    def __init__(self, booster: Any) -> None:
        self.model = booster
        booster.set_param({"nthread": 1})
        self.data = bytes(booster.save_raw("ubj"))
        self._learner = json.loads(bytes(booster.save_raw("json")))["learner"]
        self.ensemble = xgboost_ensemble(self._learner)

    def facts(self) -> Facts:
        """Say what it is."""
        objective = xgboost_objective(self._learner)
        return Facts(
            estimator="xgboost.core.Booster",
            task=objective.task,
            classes=tuple(range(objective.classes)),
            columns=int(self.model.num_features()),
            names=tuple(self.model.feature_names or ()),
            libraries=_versions("numpy", "xgboost"),
        )

    def predict(self, rows: NDArray[Any]) -> Any:
        """Ask the library; for probabilities also where the objective gives classes alone."""
        import xgboost

        matrix = xgboost.DMatrix(rows.astype(np.float32), feature_names=self.model.feature_names)
        if self._learner["objective"]["name"] != "multi:softmax":
            return self.model.predict(matrix)
        margins = self.model.predict(matrix, output_margin=True)
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


class LightGBM(_Booster):
    """A booster of LightGBM."""

    form: Form = "lightgbm"
    wide = True

    def __init__(self, booster: Any) -> None:
        self.model = booster
        text = booster.model_to_string()
        self.data = text.encode()
        self._text = read_lightgbm(text)
        self.ensemble = lightgbm_ensemble(self._text)

    def facts(self) -> Facts:
        """Say what it is."""
        objective = lightgbm_objective(self._text.head)
        return Facts(
            estimator="lightgbm.basic.Booster",
            task=objective.task,
            classes=tuple(range(objective.classes)),
            columns=int(self.model.num_feature()),
            names=_names(self.model.feature_name()),
            libraries=_versions("numpy", "lightgbm"),
        )

    def predict(self, rows: NDArray[Any]) -> Any:
        """Ask the library."""
        return self.model.predict(rows.astype(np.float64), num_threads=1)


def open_bench(setting: dict[str, Any]) -> Bench | _Booster:
    """Load a model."""
    match setting["kind"]:
        case "xgboost":
            import xgboost

            return XGBoost(xgboost.Booster(model_file=setting["path"]))
        case "lightgbm":
            import lightgbm

            return LightGBM(lightgbm.Booster(model_file=setting["path"]))
        case _:
            return Bench(setting)


def _allowed_types(path: str) -> list[str]:
    """Return the types of a skops file that are allowed. Raises ValueError if it holds others."""
    from skops.io import get_untrusted_types

    found: list[str] = get_untrusted_types(file=path)
    foreign = [name for name in found if not name.startswith(SAFE_TYPES)]
    if foreign:
        raise ValueError(f"the skops file holds types that are not known here: {', '.join(sorted(foreign)[:5])}")
    return found


def _booster_of(model: Any) -> _Booster | None:
    package = type(model).__module__.partition(".")[0]
    if package == "xgboost" and hasattr(model, "get_booster"):
        return XGBoost(model.get_booster())
    if package == "lightgbm" and hasattr(model, "booster_"):
        return LightGBM(model.booster_)
    return None


def _gives_one_number(model: Any) -> bool:
    from sklearn.base import is_regressor

    if not is_regressor(model):
        return False
    targets = getattr(model, "n_outputs_", 1) or 1
    coefficients = getattr(split(model)[1], "coef_", None)
    return targets == 1 and (coefficients is None or np.ndim(coefficients) < 2 or np.shape(coefficients)[0] == 1)


def _label(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _names(names: list[str]) -> tuple[str, ...]:
    """Return a booster's names; those that LightGBM makes up are none."""
    return () if names == [f"Column_{place}" for place in range(len(names))] else tuple(names)


def _versions(*names: str) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Do both rounds, then end."""
    wire = socket.socket(fileno=int(sys.argv[1]))
    setting, _ = guest.receive(wire)
    guest.confine(MEMORY, CPU_SECONDS)
    try:
        bench = open_bench(setting)
        guest.send(wire, {"facts": msgspec.to_builtins(bench.facts())})
        asked, arrays = guest.receive(wire)
        signature = msgspec.convert(asked["signature"], Signature)
        _second(wire, bench, signature, arrays["sample"])
    except EOFError:
        return
    except Exception as error:
        guest.send(wire, {"error": f"{type(error).__name__}: {error}"[:1000]})


def _second(wire: socket.socket, bench: Bench | _Booster, signature: Signature, sample: NDArray[Any]) -> None:
    asked = bench.answers(signature, sample)
    medians = asked.pop("medians")
    arrays = [("rows", asked.pop("rows")), ("answers", asked.pop("answers"))]
    forms: list[dict[str, Any]] = []
    for number, made in enumerate(bench.compile(signature, sample)):
        if isinstance(made.candidate, DroppedForm):
            forms.append({"dropped": msgspec.to_builtins(made.candidate)})
            continue
        form, converter, data, fill = made.candidate
        forms.append({"form": form, "converter": converter, "native": made.native, "data": f"data {number}"})
        forms[-1]["fill"] = None if fill is None else fill.tolist()
        arrays.append((f"data {number}", np.frombuffer(data, np.uint8)))
    guest.send(wire, {**asked, "medians": None if medians is None else medians.tolist(), "forms": forms}, arrays)


if __name__ == "__main__":
    main()
