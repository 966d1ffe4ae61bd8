"""Our errors in DVC's exit codes: 255 for most, 251 for the config, 253 outside of a repository, 1 where a command says so."""

from perenne.core.errors import PerenneError

BAD_CONFIG, INTERRUPTED, NO_REPOSITORY, REFUSED = 251, 252, 253, 255
BROKEN_PIPE = 141
NOT_INSIDE = "you are not inside of a DVC repository (checked up to mount point '/')"
_OF_CONFIG = ("data.bad_config", "data.bad_setting", "data.no_remote", "data.bad_remote", "data.no_option")


def exit_code(error: PerenneError, *, caught: bool) -> int:
    """Return DVC's exit code.

    Parameters
    ----------
    caught : bool
        Whether DVC's command catches its own errors and ends with 1.
    """
    if error.code == "data.no_repository":
        return NO_REPOSITORY
    if error.code in _OF_CONFIG and not caught:
        return BAD_CONFIG
    return 1 if caught else REFUSED


def words(error: PerenneError, last: str | None) -> str:
    """Return what DVC would say, as far as our message goes."""
    if error.code == "data.no_repository":
        return NOT_INSIDE
    stop = "" if error.message.endswith((".", "?", "!")) else "."
    said = f"{error.message}{stop} {error.hint[:1].upper()}{error.hint[1:]}" if error.hint else error.message
    said = said.replace("`perenne data ", "`dvc ")
    if last:
        return f"{last} - {said}"
    return f"configuration error - {said}" if error.code in _OF_CONFIG else said
