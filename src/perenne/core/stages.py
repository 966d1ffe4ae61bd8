"""The stages of the loop, named once: for the fleet page, `perenne status` and the docs."""

from enum import StrEnum


class Stage(StrEnum):
    """One stage of the loop, in order."""

    ORIGINATE = "originate"
    DATA = "data"
    FEATURES = "features"
    TRAIN = "train"
    REVIEW = "review"
    DELIVER = "deliver"
    SERVE = "serve"
    MONITOR = "monitor"
    RETRAIN = "retrain"
