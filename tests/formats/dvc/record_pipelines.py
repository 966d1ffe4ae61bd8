"""Ask the real DVC what it makes of the cases, and write that down: run it by the Python that has DVC, from the root of a clone.

PYTHONPATH=. DVC_NO_ANALYTICS=1 /path/to/dvc/bin/python tests/formats/dvc/record_pipelines.py
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.resolve() / "golden"


def main() -> None:
    from dvc.utils.serialize import load_yaml

    answers = {}
    for name, files in load_yaml(FOLDER / "pipeline_cases.yaml").items():
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            os.chdir(folder)
            answers[name] = asked()
            os.chdir("/")
    (FOLDER / "pipelines.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def asked() -> dict[str, Any]:
    from dvc.dvcfile import load_file
    from dvc.repo import Repo

    repo = Repo.init(".", no_scm=True)
    try:
        file = load_file(repo, "dvc.yaml")
        resolver = file.resolver
        stages = {name: resolver.resolve_one(name)[name] for name in resolver.get_keys()}
        loaded = {name: described(file.stages[name]) for name in stages}
        lists = {name: getattr(file, name) for name in ("metrics", "params", "plots", "artifacts")}
        return {"resolved": stages, "loaded": loaded, **lists}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def described(stage: Any) -> dict[str, Any]:
    from dvc.dependency import ParamsDependency

    return {
        "cmd": stage.cmd,
        "wdir": os.path.relpath(stage.wdir),
        "deps": [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)],
        "params": {dep.def_path: dep.params for dep in stage.deps if isinstance(dep, ParamsDependency)},
        "outs": {
            out.def_path: [
                out.use_cache,
                out.persist,
                out.remote,
                out.can_push,
                bool(out.metric),
                out.plot or None,
                out.annot.to_dict(),
            ]
            for out in stage.outs
        },
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
        "meta": stage.meta,
    }


if __name__ == "__main__":
    main()
