"""What all records of a manifest share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a manifest: immutable, and without keys of its own that this version does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
