"""Qualcomm's compiler and emulator, which the user installs."""

from __future__ import annotations

from targets.tools.tool import Licence, Tool

SNAPDRAGON = Tool(
    name="snapdragon",
    lock_file="targets.snapdragon:tool.lock",
    title="Qualcomm's HTP compiler and emulator (ONNX Runtime's QNN provider)",
    package="onnxruntime-qnn",
    version="2.7.0",
    requirements=(
        "onnxruntime-qnn==2.7.0",
        "onnxruntime==1.32.0",
        "onnx==1.23.2",
        "numpy==2.4.6",
        "ml_dtypes==0.6.0",
    ),
    python=(11, 12, 13),
    machine="x86_64",
    licence=Licence(
        name="Qualcomm AI Stack License",
        package="onnxruntime-qnn",
        file="onnxruntime_qnn/Qualcomm_LICENSE.pdf",
        summary=(
            "It covers the compiler's libraries, not npuc. Among others it forbids reverse engineering, lists"
            " prohibited uses, and lets you distribute the libraries only inside your own application."
        ),
    ),
)
