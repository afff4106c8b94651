"""`file.py:function`: a function of the user's that returns a torch module and example inputs.

This runs the user's own Python file, with all rights of the user. It happens only when the user names a file and a
function; nothing in a model folder can cause it.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

from exporter.capture import Capture, capture_module, torch_dtype
from exporter.errors import ExportError, SourceError
from exporter.families.generic.program import COMPONENT, generic_program, guess_modality
from exporter.files.weights import Bind
from exporter.options import CaptureOptions
from exporter.sources.torch_programs.neighbours import keep_apart
from exporter.sources.torch_programs.torch_original import torch_original
from program.program import Program, Role, TensorSpec
from program.shorten import shorten

_FORM = "return (module, inputs): a torch.nn.Module and a tuple or dict of example tensors"


def open_factory(path: Path, function: str, options: CaptureOptions) -> Program:
    """Runs the function and captures what it returns, at the shapes of the example inputs.

    Raises:
        SourceError: There is no such file or function, or it raises.
        ExportError: It returns something else, or torch cannot export the module.
    """
    factory = _find(path, function)
    module, example, by_keyword = _checked(_call(factory, path), f"{path}:{function}")
    dtype = torch_dtype(options.ir_dtype)
    given, given_example = module.eval(), tuple(example.values())
    if any(tensor.dtype == torch.float64 for tensor in _floats(module)):
        given = copy.deepcopy(
            module
        )  # converting changes a module in place, and it is to answer as it was given
    module = module.to(dtype=dtype)
    example = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in example.items()
    }
    specs = tuple(tensor_spec(name, tensor) for name, tensor in example.items())
    what = Capture(COMPONENT, Role.MODEL, guess_modality(specs), specs, (), by_keyword=by_keyword)
    component = capture_module(
        module, what, bind_tensors(dict(module.named_parameters(remove_duplicate=False)))
    )
    return generic_program(
        component,
        path,
        options,
        torch_original(lambda: given, component, given_example, list(example) if by_keyword else []),
        {name: tensor.detach().cpu().numpy() for name, tensor in example.items()},
    )


def _floats(module: nn.Module) -> Iterator[torch.Tensor]:
    return (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point())


def bind_tensors(tensors: Mapping[str, torch.Tensor]) -> Bind:
    """Binds parameters to tensors in memory, without copies; names of one tensor become one name."""
    first: dict[int, str] = {}
    canonical = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}

    def bind(name: str, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.TensorProtocol:  # noqa: ARG001 (protocol)
        return ir.tensor(tensors[name].detach().cpu().contiguous().numpy(), name=canonical[name])

    return bind


def tensor_spec(name: str, tensor: torch.Tensor) -> TensorSpec:
    """The spec of an example input.

    Raises:
        ExportError: Its element type cannot be an input.
    """
    dtypes = {torch_dtype(dtype): dtype for dtype in _INPUT_TYPES}
    if tensor.dtype not in dtypes:
        raise ExportError(
            "an example input has an element type that is not supported",
            where=name,
            received=str(tensor.dtype),
            remedy=f"use one of {', '.join(str(dtype) for dtype in dtypes)}",
        )
    return TensorSpec(name, dtypes[tensor.dtype], tuple(tensor.shape))


_INPUT_TYPES = (
    ir.DataType.FLOAT,
    ir.DataType.FLOAT16,
    ir.DataType.INT64,
    ir.DataType.INT32,
    ir.DataType.BOOL,
)


def _find(path: Path, function: str) -> Callable[[], Any]:
    if not path.is_file():
        raise SourceError("the Python file does not exist", received=str(path), remedy="check the path")
    module = _load(path)
    factory = getattr(module, function, None)
    if not callable(factory):
        names = sorted(
            n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__
        )
        raise SourceError(
            "the Python file has no such function",
            where=str(path),
            received=function or "no name after the colon",
            remedy=f"its functions are: {', '.join(names) or 'none'}",
        )
    found: Callable[[], Any] = factory
    return found


def _load(path: Path) -> ModuleType:
    name = f"npuc_factory_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SourceError("the Python file cannot be imported", received=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look the module up by name
    keep_apart(path.resolve().parent)
    sys.path.insert(0, str(path.resolve().parent))  # the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _user_error("the Python file fails while it is imported", path, error) from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _call(factory: Callable[[], Any], path: Path) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _user_error("the function fails", path, error) from error


def _user_error(what: str, path: Path, error: BaseException) -> SourceError:
    traceback = error.__traceback__
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return SourceError(
        what,
        where=f"{path}, line {line}" if line else str(path),
        received=shorten(error),
        remedy="correct it",
    )


def _checked(returned: Any, where: str) -> tuple[nn.Module, dict[str, torch.Tensor], bool]:
    """Takes apart what the function returned: module, inputs by name, whether they are passed by name."""
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], nn.Module):
        raise _wrong(where, type(returned).__name__)
    module, inputs = returned
    if isinstance(inputs, dict):
        named, by_keyword = {str(name): value for name, value in inputs.items()}, True
    elif isinstance(inputs, tuple | list):
        named, by_keyword = dict(zip(_input_names(module, len(inputs)), inputs, strict=True)), False
    else:
        raise _wrong(where, f"inputs of type {type(inputs).__name__}")
    for name, value in named.items():
        if not isinstance(value, torch.Tensor):
            raise _wrong(where, f"{name} is a {type(value).__name__}, not a tensor")
    if not named:
        raise _wrong(where, "no inputs")
    return module, named, by_keyword


def _input_names(module: nn.Module, count: int) -> list[str]:
    parameters = inspect.signature(module.forward).parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [positional[i] if i < len(positional) else f"input_{i}" for i in range(count)]


def _wrong(where: str, received: str) -> ExportError:
    return ExportError(
        "the function returns something else than npuc needs", where=where, received=received, remedy=_FORM
    )
