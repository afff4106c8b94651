"""Names the constants rewrites made after their component."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.graph_pass import GraphPass
from passes.core.rewrite import CONSTANT_SUFFIX


class PrefixConstants(GraphPass):
    """Renames `<node>/…/constant` to `<component>/<node>/…/constant`.

    Initializers are shared between components by name, and two components may have nodes of the same name.

    Args:
        component: Name of the component.

    Attributes:
        remarks: Always empty; nothing is decided here.
    """

    def __init__(self, component: str) -> None:
        super().__init__()
        self._prefix = f"{component}/"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Renames."""
        initializers = model.graph.initializers
        found = [
            name
            for name in initializers
            if name.endswith(CONSTANT_SUFFIX) and not name.startswith(self._prefix)
        ]
        for name in found:
            value = initializers.pop(name)
            value.name = self._prefix + name
            if value.const_value is not None:
                value.const_value.name = value.name
            model.graph.register_initializer(value)
        return ir.passes.PassResult(model, bool(found))
