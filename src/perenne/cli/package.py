"""`perenne package …`: ways to package a version, each a verb; without one, an image is made.

An option that names another way leads there, so that `perenne package --rebuild churn@3` reads as people say it.
"""

import click

from perenne.cli.lazy import LazyGroup

IMAGE = "image"
VERBS = {
    "image": ("perenne.delivery.images.commands:image", "Make the image of a version, and bring it where it is to be."),
    "dockerfile": ("perenne.delivery.images.commands:dockerfile", "Write a Dockerfile that gives the same service."),
    "edge": ("perenne.delivery.portable.commands:edge", "Write a folder that answers without perenne."),
    "browser": ("perenne.delivery.portable.commands:browser", "Write a page that answers in a browser."),
    "list": ("perenne.delivery.images.commands:list_", "List the images of a model's versions."),
    "rebuild": ("perenne.delivery.images.upkeep_commands:rebuild_command", "Make it again on a newer base or newer libraries."),
    "outdated": ("perenne.delivery.images.upkeep_commands:outdated", "Tell which images that answer people are out of date."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {"Package": ("image", "dockerfile", "edge", "browser"), "Images": ("list", "rebuild", "outdated")}
"""Which commands stand together in the help."""

WAYS = {"--dockerfile": "dockerfile", "--edge": "edge", "--browser": "browser", "--rebuild": "rebuild", "--outdated": "outdated"}
"""Options that name another way of packaging than an image, and the verb that it is."""


class PackageGroup(LazyGroup):
    """A group whose first word may be a version: then it is `image`, or the way that an option names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the verb in front, where a version or an option stands first."""
        return super().parse_args(ctx, args if args[:1] and args[0] in ctx.help_option_names else _with_verb(args))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, said or meant, and what is left for it."""
        return super().resolve_command(ctx, _with_verb(args))


def _with_verb(args: list[str]) -> list[str]:
    if not args or args[0] in VERBS:
        return args
    return [next((WAYS[word.partition("=")[0]] for word in args if word.partition("=")[0] in WAYS), IMAGE), *args]


@click.group(cls=PackageGroup, table=VERBS, sections=SECTIONS)
def package() -> None:
    """Versions as what runs anywhere: an image with the model server, a folder for the edge, a page for the browser.

    \b
    Examples:
      perenne package churn@3
      perenne package churn@3 --to registry.example.org/models/churn:3
      perenne package list churn
    """
