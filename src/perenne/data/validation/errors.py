"""What stops a pipeline: data that breaks rules."""

from perenne.core.errors import Invalid


class Broken(Invalid):
    """Rows break a rule whose breach is an error: the work was done, and it found something."""

    exit_code = 6
