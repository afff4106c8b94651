"""The bundled model as it is: its own torch module with the weights of the folder, not the captured graphs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import onnx_ir as ir
import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

from exporter.capture import build_on_meta
from exporter.eager_executor import Tensors, eager_executor
from exporter.errors import ExportError, SourceError
from exporter.families.multimodal_transformer.components import component_captures, component_modules
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from program.program import Executor, Original
from program.shorten import shorten


def original_model(config: ModelConfig, files: Iterable[Path]) -> Original:
    """The openers of the five components. Nothing is read before one is called.

    Args:
        config: Dimensions.
        files: The safetensors files of the folder.

    Returns:
        Openers that raise SourceError where a file is damaged, and ExportError where the weights are not exactly those
        of the module.
    """
    paths = tuple(files)
    names = [what.name for what in component_captures(config, ir.DataType.FLOAT)]
    openers = {name: functools.partial(_open, config, paths, name) for name in names}
    return Original("its torch module in eager mode", openers)


def _open(config: ModelConfig, paths: tuple[Path, ...], name: str) -> Executor:
    module, _ = component_modules(_load(config, paths))[name]
    what = next(item for item in component_captures(config, ir.DataType.FLOAT) if item.name == name)
    inputs = [spec.name for spec in what.inputs]
    return eager_executor(_positional(module, inputs, what.outputs))


def _positional(
    module: nn.Module, inputs: Iterable[str], outputs: Iterable[str]
) -> Callable[[Tensors], Tensors]:
    def run(tensors: Tensors) -> Tensors:
        results = module(*(tensors[name] for name in inputs))
        return dict(zip(outputs, results if isinstance(results, tuple) else (results,), strict=True))

    return run


def _load(config: ModelConfig, paths: tuple[Path, ...]) -> MultiModalTransformer:
    """The module in float32. It is built without storage, so that config.json alone cannot ask for memory."""
    with build_on_meta(ir.DataType.FLOAT):
        model = MultiModalTransformer(config)
    weights = {name: tensor for path in paths for name, tensor in _read(path).items()}
    try:
        model.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:  # torch lists every missing, surplus and misshapen one in it
        raise ExportError(
            "the weights are not exactly those of the model's own module",
            where=", ".join(str(path) for path in paths),
            received=shorten(error),
            remedy="restore the weights and the config.json that belong together",
        ) from error
    return model.eval()


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (safetensors.SafetensorError, OSError) as error:
        raise SourceError(
            "the weights cannot be read",
            where=str(path),
            received=shorten(error),
            remedy="restore the file",
        ) from error
