"""Executes a component in ONNX Runtime's CPU provider: the numeric reference for everything npuc emits."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir
import onnxruntime

from exporter.explicit_rounding import make_rounding_explicit
from exporter.program import Array, Feeds

_PROVIDERS = ["CPUExecutionProvider"]
_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxExecutor:
    """A component as a callable. Graph optimisations are off, float16 results are rounded after each operator.

    ONNX Runtime's optimised DequantizeLinear + MatMul differs from the specification by up to 0.047, so the
    reference runs with `ORT_DISABLE_ALL`.

    Args:
        model: The graph, or the path of an ONNX file; lazy initializers are materialised once.
        extra_outputs: Names of intermediate values to return as well (for a graph in memory).
        threads: Threads inside one operator.
    """

    def __init__(self, model: ir.Model | Path, extra_outputs: Sequence[str] = (), threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if isinstance(model, ir.Model):
            self._session = _open_model(_with_outputs(model, extra_outputs), options)
        else:
            self._session = _open_file(model, options)
        self._input_names = [value.name for value in self._session.get_inputs()]
        self._output_names = [value.name for value in self._session.get_outputs()]

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the graph.

        Args:
            feeds: One array for each graph input; others are ignored.

        Returns:
            Graph outputs (and the extra ones) by name.
        """
        values = self._session.run(None, {name: feeds[name] for name in self._input_names})
        return dict(zip(self._output_names, values, strict=True))


def _with_outputs(model: ir.Model, names: Sequence[str]) -> ir.Model:
    clone = model.clone()
    present = {value.name for value in clone.graph.outputs}
    produced = {value.name: value for node in clone.graph for value in node.outputs}
    clone.graph.outputs.extend(produced[name] for name in names if name not in present)
    return clone


def _open_model(model: ir.Model, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    make_rounding_explicit(model)
    with tempfile.TemporaryDirectory(prefix="npuc-onnx-") as folder:
        path = Path(folder) / "model.onnx"
        # external data also copes with lazy tensors and with more than 2 GiB
        ir.save(model, path, external_data="model.onnx.data", size_threshold_bytes=1 << 20)
        return onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)


def _open_file(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    model = ir.load(path)
    make_rounding_explicit(model)
    options.add_session_config_entry(_EXTERNAL_FOLDER, str(path.parent.absolute()))
    graph = ir.to_proto(model).SerializeToString()
    return onnxruntime.InferenceSession(graph, options, providers=_PROVIDERS)
