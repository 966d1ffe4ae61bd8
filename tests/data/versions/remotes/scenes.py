"""What tests of remotes are made of: files, Git, settings, and a look at what a folder holds."""

import shutil
import subprocess
from pathlib import Path

from perenne.data.versions.repository import Repository
from perenne.formats.dvc.configs import write_config


def git(folder: Path, *arguments: str) -> str:
    """Run Git in a folder."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by their paths."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def files(folder: Path) -> dict[str, bytes]:
    """Return what lies below a folder, but for what belongs to Git and to the repository itself."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith((".git/", ".dvc/")):
            found[name] = path.read_bytes()
    return found


def objects(folder: Path) -> dict[str, bytes]:
    """Return the objects of a cache or remote, by digest."""
    tree = folder / "files" / "md5"
    return {path.parent.name + path.name: path.read_bytes() for path in tree.glob("??/*") if not path.name.startswith(".")}


def set_remote(repository: Repository, name: str, url: str, *, default: bool = True, **keys: str) -> None:
    """Write a remote into the config."""
    config = repository.dvc / "config"
    data = config.read_bytes()
    for key, value in {"url": url, **keys}.items():
        data = write_config(data, f'remote "{name}"', key, value)
    if default:
        data = write_config(data, "core", "remote", name)
    config.write_bytes(data)
    repository.forget()


def drop_cache(repository: Repository) -> None:
    """Remove every object, and what is tracked from the workspace."""
    shutil.rmtree(repository.cache_folder)
    for output in repository.outputs():
        shutil.rmtree(output.path) if output.path.is_dir() else output.path.unlink(missing_ok=True)
