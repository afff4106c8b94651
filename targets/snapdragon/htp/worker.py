"""A job of Qualcomm's compiler. Runs alone in the tool's environment; npuc never imports it.

The working folder holds `request.json`: `action` (`prepare`, `run` or `serve`), `model` (an ONNX file there) and
`soc_model`.
* `prepare` writes `prepared.onnx` (EPContext nodes) and `prepared_qnn.bin`.
* `run` reads `inputs.npz` and writes `outputs.npz`.
* `serve` answers inputs on standard input with outputs on standard output, both in npz form, until it is closed.
The provider leaves files behind even for a model it refuses: only `result.json` without `refused` means success.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx
import onnxruntime
import onnxruntime_qnn

_PROVIDER = "QNNExecutionProvider"
_PREPARED = "prepared.onnx"
_COMPATIBILITY = f"ep_compatibility_info.{_PROVIDER}"
_SOC_FIELD = 5
"""`v2:<format>:<SDK>:<backend>:<arch>:<soc_model>:<VTCM>:…`, as ONNX Runtime's provider writes it."""


def _session(model: str, soc_model: int, context: bool) -> onnxruntime.InferenceSession:
    onnxruntime.register_execution_provider_library(_PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [item for item in onnxruntime.get_ep_devices() if item.ep_name == _PROVIDER]
    options = onnxruntime.SessionOptions()
    entries = {"session.disable_cpu_ep_fallback": "1"}
    if context:
        entries |= {"ep.context_enable": "1", "ep.context_embed_mode": "0", "ep.context_file_path": _PREPARED}
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    provider = {
        "backend_type": "htp",
        "soc_model": str(soc_model),
        # quantisation of graph inputs stays in the graph that HTP runs
        "offload_graph_io_quantization": "0",
    }
    options.add_provider_for_devices(devices[:1], provider)
    return onnxruntime.InferenceSession(model, options)


def prepare(request: dict[str, Any]) -> dict[str, Any]:
    """Compiles the model and returns what the provider recorded about it."""
    _session(request["model"], request["soc_model"], context=True)
    prepared = onnx.load(_PREPARED, load_external_data=False)
    recorded = {item.key: item.value for item in prepared.metadata_props}.get(_COMPATIBILITY, "")
    fields = recorded.split(":")
    if len(fields) <= _SOC_FIELD or fields[_SOC_FIELD] != str(request["soc_model"]):
        return {"refused": f"the compiler recorded {recorded!r} and not soc_model {request['soc_model']}"}
    return {"compatibility": recorded}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Executes a prepared model on the emulator."""
    session = _session(request["model"], request["soc_model"], context=False)
    _answer(session, "inputs.npz", "outputs.npz")
    return {"outputs": [item.name for item in session.get_outputs()]}


def _answer(
    session: onnxruntime.InferenceSession, source: str | IO[bytes], destination: str | IO[bytes]
) -> None:
    with np.load(source, allow_pickle=False) as inputs:
        values = session.run(None, {item.name: inputs[item.name] for item in session.get_inputs()})
    names = [item.name for item in session.get_outputs()]
    arrays: dict[str, Any] = dict(zip(names, values, strict=True))
    np.savez(destination, **arrays)


def serve(request: dict[str, Any]) -> None:
    """Executes a prepared model on the emulator as often as it is asked; each answer begins with 0, or 1 if refused."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the vendor's libraries print to standard output

    def send(status: int, content: bytes) -> None:
        answers.write(bytes([status]) + len(content).to_bytes(8, "little") + content)
        answers.flush()

    try:
        session = _session(request["model"], request["soc_model"], context=False)
        send(0, b"")
        while header := sys.stdin.buffer.read(8):
            result = io.BytesIO()
            _answer(session, io.BytesIO(sys.stdin.buffer.read(int.from_bytes(header, "little"))), result)
            send(0, result.getvalue())
    except Exception as error:  # the boundary: every refusal of the vendor's code is told as text
        send(1, str(error).encode())


def main() -> None:
    """Serves the one request of the working folder."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    if request["action"] == "serve":
        serve(request)
        return
    try:
        result = {"prepare": prepare, "run": run}[request["action"]](request)
    except Exception as error:  # the boundary: every refusal of the vendor's code is told as text
        result = {"refused": str(error)}
    Path("result.json").write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
