"""A prepared graph: the EPContext model and the context binary it names."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from targets.errors import ExecutionError

MODEL_NAME = "prepared.onnx"
BINARY_NAME = "prepared_qnn.bin"
"""ONNX Runtime's provider derives this name from the model's, and the model refers to it."""


@dataclasses.dataclass(frozen=True)
class ContextBinary:
    """What ONNX Runtime's QNN provider loads on the device.

    Attributes:
        folder: Holds model and binary.
        soc_model: The chip it is for; the first of several.
        compatibility: Versions and target, as the compiler recorded them.
        sha256: SHA-256 of model and binary, in this order; the vendor's loader does not see a changed byte.
        model: File name of the EPContext model.
        binary: File name of the binary; several models name the same one where they share weights.
        further_socs: `soc_model` of other chips the binary has code for.
        shared_by: Number of graphs in the binary.
    """

    folder: Path
    soc_model: int
    compatibility: str
    sha256: str
    model: str = MODEL_NAME
    binary: str = BINARY_NAME
    further_socs: tuple[int, ...] = ()
    shared_by: int = 1

    @property
    def size(self) -> int:
        """Bytes of the context binary."""
        return (self.folder / self.binary).stat().st_size

    def check(self) -> None:
        """Checks the files against their checksum.

        Raises:
            ExecutionError: They are missing or were changed.
        """
        try:
            found = files_sha256(self.folder, self.model, self.binary)
        except OSError as error:
            raise ExecutionError(
                f"a file of the context binary cannot be read: {error.strerror or error}",
                where=str(error.filename or self.folder),
                remedy="prepare the model again",
            ) from error
        if found != self.sha256:
            raise ExecutionError(
                "the context binary was changed after it was prepared",
                where=str(self.folder),
                received=f"sha256 {found}",
                remedy="prepare the model again",
            )


def files_sha256(folder: Path, model: str = MODEL_NAME, binary: str = BINARY_NAME) -> str:
    """Returns the SHA-256 over the SHA-256 of model and binary."""
    digest = hashlib.sha256()
    for name in (model, binary):
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
