"""Executes a component in ONNX Runtime's CPU provider: the numeric reference for everything npuc emits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from program.constants_first import put_constants_first
from program.errors import GraphExecutionError
from program.explicit_rounding import make_rounding_explicit
from program.program import Array, Feeds
from program.shorten import shorten

if TYPE_CHECKING:  # imported where a session is opened: much of what imports this module never opens one
    import onnxruntime

_PROVIDERS = ["CPUExecutionProvider"]
_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
_DISABLE_PREPACKING = "session.disable_prepacking"

INLINE_BYTES = 1 << 20
"""Initializers below this size are handed to ONNX Runtime inside the graph, where they are computed in memory."""

MAPPED_BYTES = 1 << 28
"""From this size on weights stay in their file, as pages that the system may drop: ONNX Runtime maps external data, and
copies it only to reorder the weights of products. Without that a product of a few rows takes three times as long."""


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
        options = _plain_options(threads)
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
        try:
            values = self._session.run(None, {name: feeds[name] for name in self._input_names})
        except Exception as error:  # one of ONNX Runtime's own classes
            raise _failed("the reference fails on an input", error) from error
        return dict(zip(self._output_names, values, strict=True))


def plain_session(path: Path, threads: int = 2) -> onnxruntime.InferenceSession:
    """Opens an ONNX file as it is, without any optimisation.

    Args:
        path: Of the file; its external data lie beside it.
        threads: Inside one operator.

    Raises:
        Exception: One of ONNX Runtime's own classes, where it cannot run the file.
    """
    import onnxruntime

    options = _plain_options(threads)
    options.add_session_config_entry(_EXTERNAL_FOLDER, str(path.parent.absolute()))
    if sum(tensor.nbytes for tensor in _tensors(ir.load(path))) >= MAPPED_BYTES:
        _keep_weights_in_file(options)
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=_PROVIDERS)


def _keep_weights_in_file(options: onnxruntime.SessionOptions) -> None:
    options.add_session_config_entry(_DISABLE_PREPACKING, "1")
    # weights widened for one product are given back after it: the arena keeps them, the pattern adds them up
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False


def _plain_options(threads: int) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    # its messages hold names of the model as they are, and say what the error says again
    options.log_severity_level = 4
    return options


def _with_outputs(model: ir.Model, names: Sequence[str]) -> ir.Model:
    clone = model.clone()
    present = {value.name for value in clone.graph.outputs}
    produced = {value.name: value for node in clone.graph for value in node.outputs}
    clone.graph.outputs.extend(produced[name] for name in names if name not in present)
    return clone


def _open_model(model: ir.Model, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    make_rounding_explicit(model)
    folder = _weights_folder(model)
    if folder is not None:
        return _open_graph(model, folder, options)
    with tempfile.TemporaryDirectory(prefix="npuc-onnx-") as temporary:
        path = Path(temporary) / "model.onnx"
        # external data also copes with lazy tensors and with more than 2 GiB
        ir.save(model, path, external_data="model.onnx.data", size_threshold_bytes=INLINE_BYTES)
        return _open_graph(ir.load(path), path.parent, options)


def _open_file(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        model = ir.load(path)
    except Exception as error:  # parsers of protocol buffers raise classes of their own
        raise _failed(f"the graph {path.name} cannot be read", error) from error
    make_rounding_explicit(model)
    return _open_graph(model, path.parent, options)


def _open_graph(
    model: ir.Model, folder: Path, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    """Opens a graph whose external data lies in `folder`."""
    import onnxruntime

    put_constants_first(model)
    options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder.absolute()))
    if sum(tensor.nbytes for tensor in _tensors(model)) >= MAPPED_BYTES:
        _keep_weights_in_file(options)
    graph = ir.to_proto(model).SerializeToString()
    try:
        return onnxruntime.InferenceSession(graph, options, providers=_PROVIDERS)
    except Exception as error:  # one of ONNX Runtime's own classes
        raise _failed("the reference cannot execute the graph", error) from error


def _failed(what: str, error: Exception) -> GraphExecutionError:
    return GraphExecutionError(
        what,
        where="ONNX Runtime",
        received=shorten(error),
        remedy="replace the operator that is named in the model, or correct the inputs (--calibration)",
    )


def _weights_folder(model: ir.Model) -> Path | None:
    """Returns the folder of all large initializers; None where some have to be computed or lie elsewhere."""
    folders = {
        Path(tensor.base_dir) if isinstance(tensor, ir.ExternalTensor) else None
        for tensor in _tensors(model)
        if tensor.nbytes >= INLINE_BYTES or isinstance(tensor, ir.ExternalTensor)
    }
    return folders.pop() if len(folders) == 1 else None


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for value in model.graph.initializers.values():
        if value.const_value is not None:
            yield value.const_value
