"""Shared CPU lowering: ONNX → Relax → fused TIR → one LLVM object and a C file with a static memory plan."""
