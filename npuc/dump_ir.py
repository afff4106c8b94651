"""`--dump-ir`: the graph after each pass, numbered in order, and the time each pass took."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from passes.core.run_passes import OnPass


class IrDump:
    """Writes one text file a pass, `003.vision_encoder.FoldConstants.onnx.txt`, without weights, and `timing.tsv`.

    Args:
        folder: Created on demand; None writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._count = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "timing.tsv").write_text("number\tcomponent\tpass\tseconds\tnodes\n", "utf-8")

    def observer(self, component: str) -> OnPass:
        """Returns the observer to hand to the passes of a component."""

        def on_pass(name: str, model: ir.Model, seconds: float) -> None:
            self._write(component, name, model, seconds)

        return on_pass

    def _write(self, component: str, name: str, model: ir.Model, seconds: float) -> None:
        if self._folder is None:
            return
        path = self._folder / f"{self._count:03}.{component}.{name}.onnx.txt"
        path.write_text(ir.to_onnx_text(model, exclude_initializers=True), "utf-8")
        with (self._folder / "timing.tsv").open("a", encoding="utf-8") as file:
            file.write(f"{self._count}\t{component}\t{name}\t{seconds:.4f}\t{len(model.graph)}\n")
        self._count += 1
