"""`dvc status`, `diff`, `data status`, `list`."""

from perenne import data
from perenne.core.errors import Invalid
from perenne.protocols.dvc.command_line.grammar import (
    JOBS,
    RECURSIVE,
    REMOTE,
    REVISIONS,
    TARGETS,
    WITH_DEPS,
    Options,
    command,
    flag,
)
from perenne.protocols.dvc.command_line.speech import say, say_json
from perenne.protocols.dvc.status import NOTHING, UP_TO_DATE, status_of, status_text


@command(
    "Show what has changed.",
    JOBS,
    TARGETS,
    flag("-c", "--cloud", says="Compare the cache with a remote."),
    REMOTE,
    *REVISIONS,
    WITH_DEPS,
    RECURSIVE,
    flag("--json", says="Answer in JSON."),
    flag("--no-updates", says="Do not ask whether sources of imports have changed.", action="store_false", dest="check_updates"),
    last="",
)
def status(options: Options) -> int:
    """`dvc status`."""
    if options.cloud or options.remote:
        raise Invalid("dvc status -c is not here", code="data.left_out", hint="`dvc push` says what it brought")
    told = {"--all-branches": options.all_branches, "--all-tags": options.all_tags, "--all-commits": options.all_commits}
    ignored = [name for name, is_told in {**told, "--jobs": options.jobs}.items() if is_told]
    if ignored:
        message = f"The following options are meaningless for local status: {', '.join(ignored)}"
        raise Invalid(message, code="data.bad_option")
    repository = data.versions.open_repository()
    answer, anything = status_of(repository, options.targets, with_deps=options.with_deps, recursive=options.recursive)
    if options.json:
        say_json(answer)
    elif options.quiet:
        return int(bool(answer))
    else:
        say(status_text(answer) if answer else UP_TO_DATE if anything else NOTHING)
    return 0
