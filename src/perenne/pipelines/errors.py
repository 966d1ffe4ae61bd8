"""The errors of pipelines that are raised in more than one place."""

from perenne.core.errors import Conflict, Invalid, Unavailable


class NotEncodable(Invalid):
    """A value has no canonical encoding, or cannot be kept as a result."""


class StepTimeout(Unavailable):
    """A step took longer than it may, and was killed."""


class Lost(Conflict):
    """Another process took a step over; what this one made of it is thrown away."""
