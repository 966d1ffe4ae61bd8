"""What lies in a folder or a file: which model, in which form, and whether it is data alone or code as well."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from perenne.core.errors import Denied, Invalid, NotFound
from perenne.core.paths import confined
from perenne.formats.mlmodel import LARGEST, MLMODEL, MLmodel, inner_path, read_mlmodel

Kind = Literal["onnx", "xgboost", "lightgbm", "estimator", "mlflow"]
_PICKLES = {".pkl": "pickle", ".pickle": "pickle", ".joblib": "joblib"}
_TORCH = (".pt", ".pth", ".torchscript")
_MAX_FILES = 10_000


class Trust(msgspec.Struct, frozen=True):
    """What makes code in a model acceptable to whoever packages it.

    Attributes
    ----------
    digests : frozenset of str
        SHA-256 of single files (of a folder: of `digest_of`) that somebody vouches for.
    signed_by : str
        Whose verified signature covers the whole model; empty for nobody's.
    """

    digests: frozenset[str] = frozenset()
    signed_by: str = ""

    def reason(self, digest: str) -> str:
        """Say why a model of this digest is trusted; empty if it is not."""
        if self.signed_by:
            return f"signed by {self.signed_by}"
        return f"digest {digest}" if digest in self.digests else ""


NOBODY = Trust()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was found.

    Attributes
    ----------
    kind : str
        `onnx`, `xgboost`, `lightgbm`, `estimator`, or `mlflow` for what only MLflow itself can call.
    root, path : Path, str
        The folder, and the model's file or folder in it.
    form : str
        Of an estimator: `skops`, `pickle` or `joblib`.
    mlmodel : MLmodel or None
        What its client said of it.
    recorded : dict
        Versions of libraries it was made with, as far as said.
    code : bool
        Whether loading it runs code: it is trusted or refused.
    """

    kind: Kind
    root: Path
    path: str
    form: str = ""
    mlmodel: MLmodel | None = None
    recorded: dict[str, str] = {}
    code: bool = False

    @property
    def file(self) -> Path:
        """Where the model's file or folder lies."""
        return self.root / self.path if self.path else self.root

    @property
    def digest(self) -> str:
        """By which it is vouched for."""
        return digest_of(self.file)


def find(path: Path) -> Found:
    """Find the model in a folder that MLflow logged, or in a single file.

    Raises
    ------
    NotFound
        If there is none.
    Invalid
        If it is of a kind that is not read, or a path leads out of its folder or over a link.
    """
    path = Path(path)
    if path.is_symlink():
        raise Invalid(f"{path.name} is a link", code="model_file.link", hint="name the file itself")
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise NotFound(
            f"there is no {path.name}", code="model_file.not_found", hint="name a file, or a folder with MLmodel in it"
        )
    return _of_file(path.parent, path.name)


def require_trust(found: Found, trust: Trust) -> str:
    """Return why a model may be loaded; empty if it holds no code.

    Raises
    ------
    Denied
        If it holds code that nobody vouches for; nothing of it was loaded.
    """
    if not found.code:
        return ""
    digest = found.digest
    reason = trust.reason(digest)
    if not reason:
        raise Denied(
            f"{found.file.name} is {'a pickle' if found.kind == 'estimator' else 'Python code'}, which runs what it likes when "
            f"it is loaded; nobody vouches for sha256:{digest}",
            code="model_file.untrusted",
            hint=f"log it as skops or ONNX; or, if you know where it comes from, say --trust {digest}",
        )
    return reason


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder: of the lines `digest  name` of its files in order."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = [f"{digest_of(path / name)}  {name}\n" for name in sorted(plain_files(path))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def plain_files(folder: Path) -> Iterator[str]:
    """Name the files below a folder. Raises Invalid for a link, and for more files than a model has."""
    count = 0
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Invalid(f"{name} is not a plain file", code="model_file.link", hint="links and devices are not followed")
        if path.is_file():
            count += 1
            if count > _MAX_FILES:
                raise Invalid(f"there are more than {_MAX_FILES:,} files", code="model_file.files", hint="name a model's folder")
            yield name


def _in_folder(folder: Path) -> Found:
    said = folder / MLMODEL
    if said.is_symlink() or not said.is_file():
        raise NotFound(
            f"there is no {MLMODEL} in {folder.name}",
            code="model_file.not_found",
            hint="name a folder that a client of MLflow logged, or a model's file",
        )
    if said.stat().st_size > LARGEST:
        raise Invalid(f"{MLMODEL} is too large", code="mlmodel.invalid", hint="log the model again with a client of MLflow")
    mlmodel = read_mlmodel(said.read_bytes())
    list(plain_files(folder))  # (no link anywhere)
    flavors = mlmodel.flavors
    for flavor, key, kind in (("onnx", "data", "onnx"), ("xgboost", "data", "xgboost"), ("lightgbm", "data", "lightgbm")):
        if flavor in flavors:
            found = _of_file(folder, _inner(folder, flavors[flavor].get(key), key), mlmodel)
            if found.kind in (kind, "estimator"):
                return _recorded(found, flavors[flavor])
    if "sklearn" in flavors:
        name = _inner(folder, flavors["sklearn"].get("pickled_model"), "pickled_model")
        found = _of_file(folder, name, mlmodel)
        return _recorded(found, flavors["sklearn"])
    if "python_function" in flavors:
        function = flavors["python_function"]
        for key in ("data", "model_path", "python_model", "artifacts"):
            if isinstance(function.get(key), str):
                _inner(folder, function[key], key)
        return _recorded(Found(kind="mlflow", root=folder, path="", mlmodel=mlmodel, code=True), function)
    raise Invalid(
        f"no flavor of {', '.join(sorted(flavors)) or 'none'} is served",
        code="model_file.flavor",
        hint="onnx, xgboost, lightgbm, sklearn and python_function are",
    )


def _inner(folder: Path, value: object, what: str) -> str:
    name = inner_path(value, what)
    place = confined(folder, name)
    if not place.exists():
        raise NotFound(f"{MLMODEL} names {name}, which is not there", code="model_file.not_found", hint="log the model again")
    return name


def _recorded(found: Found, flavor: dict[str, object]) -> Found:
    versions = {key.removesuffix("_version"): str(value) for key, value in flavor.items() if key.endswith("_version")}
    return msgspec.structs.replace(found, recorded={name: text for name, text in versions.items() if name != "loader"})


def _of_file(root: Path, name: str, mlmodel: MLmodel | None = None) -> Found:
    suffix = Path(name).suffix.lower()
    place = root / name
    if place.is_dir() and mlmodel is not None:
        return Found(kind="mlflow", root=root, path="", mlmodel=mlmodel, code=True)
    if suffix == ".onnx":
        return Found(kind="onnx", root=root, path=name, mlmodel=mlmodel)
    if suffix in (".ubj", ".json", ".deprecated", ".xgb"):
        return Found(kind="xgboost", root=root, path=name, mlmodel=mlmodel)
    if suffix in (".txt", ".lgb"):
        return Found(kind="lightgbm", root=root, path=name, mlmodel=mlmodel)
    if suffix == ".skops":
        return Found(kind="estimator", root=root, path=name, form="skops", mlmodel=mlmodel)
    if suffix in _PICKLES:
        return Found(kind="estimator", root=root, path=name, form=_PICKLES[suffix], mlmodel=mlmodel, code=True)
    if suffix in _TORCH:
        raise Invalid(
            f"{name} is a model of PyTorch, which loading runs as code",
            code="model_file.torch",
            hint="export it: `torch.onnx.export(model, inputs, 'model.onnx')`, and serve that",
        )
    raise Invalid(
        f"{name} is no model that is read here",
        code="model_file.kind",
        hint="ONNX (.onnx), XGBoost (.ubj, .json), LightGBM (.txt), skops (.skops), or a folder that MLflow logged",
    )
