"""Small quantised models on Hexagon's vector units (HVX), through TVM.

* `lower.lower_hexagon(component, out_dir) -> HexagonBinary`: a whole QDQ graph → static program and device object.
* `HexagonBinary.executor() -> HexagonExecutor`: the program under `qemu-hexagon`, on the graph's float tensors.
* `coverage.hexagon_refusal(node) -> str | None`: why a node is not taken, None if it is; for coverage tables.

ONNX graph → `importer` → `IntegerProgram` (exact meaning in numpy: `operations`) → `layout_pass` → `kernels` → `build`.
Nothing here imports the vendor's tool.
"""
