"""The three disjoint parts of the data."""

from __future__ import annotations

import enum


class Split(enum.StrEnum):
    """A part of the data. Images, voices and question patterns never occur in two of them."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"
