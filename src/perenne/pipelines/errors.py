"""The error of pipelines that is raised in more than one place."""

from perenne.core.errors import Invalid


class NotEncodable(Invalid):
    """A value has no canonical encoding, cannot be kept as a result, or cannot be sent to another process."""
