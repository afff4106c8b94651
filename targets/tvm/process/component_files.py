"""A component as bytes and JSON: how it gets into another process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from program.program import Component, Modality, Role

_MODEL_NAME = "model.onnx"


def write_component(component: Component, folder: Path) -> dict[str, Any]:
    """Writes the graph into a folder; external tensors stay where they are.

    Returns:
        What `read_component` needs, JSON-able.
    """
    path = folder / _MODEL_NAME
    path.write_bytes(ir.to_proto(component.model).SerializeToString(deterministic=True))
    return {
        "name": component.name,
        "role": component.role.value,
        "modality": component.modality.value,
        "model": str(path),
        "folders": {
            name: str(Path(value.const_value.base_dir).absolute())
            for name, value in component.model.graph.initializers.items()
            if isinstance(value.const_value, ir.ExternalTensor)
        },
    }


def read_component(record: Mapping[str, Any]) -> Component:
    """Reads what `write_component` wrote."""
    model = ir.from_proto(onnx.ModelProto.FromString(Path(record["model"]).read_bytes()))
    for name, folder in record["folders"].items():
        tensor = model.graph.initializers[name].const_value
        if isinstance(tensor, ir.ExternalTensor):
            tensor.base_dir = folder
    return Component(record["name"], Role(record["role"]), Modality(record["modality"]), model)
