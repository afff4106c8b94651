"""A job of Qualcomm's compiler. Runs alone in the tool's environment; npuc never imports it.

The working folder holds `request.json` with `action`:
* `prepare` compiles `graphs` (`model` and `prepared`: ONNX files before and after) for `socs` (`soc_model` and `arch`).
  Each prepared file holds an EPContext node; the binary beside them has the code of all graphs and their weights once.
  A graph with `inputs` and `outputs` (npz files) is executed as well.
* `run` executes the prepared `model` on the emulation of `soc_model`; reads `inputs.npz` and writes `outputs.npz`.
* `serve` answers inputs on standard input with outputs on standard output until it is closed, for the prepared `model`
  or for `graphs` that it compiles first, as `prepare` does. Its first answer is then the result of `prepare` as JSON. A
  message is the number of the graph (one byte) and its inputs in npz form, an answer the outputs in npz form.
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
_COMPATIBILITY = f"ep_compatibility_info.{_PROVIDER}"
_ARCH_FIELD = 4
_SOC_FIELD = 5
"""`v2:<format>:<SDK>:<backend>:<arch>:<soc_model>:<VTCM>:…`, as ONNX Runtime's provider writes it."""


def _session(
    model: str, provider: dict[str, str], entries: dict[str, str] | None = None
) -> onnxruntime.InferenceSession:
    if not any(item.ep_name == _PROVIDER for item in onnxruntime.get_ep_devices()):
        onnxruntime.register_execution_provider_library(_PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [item for item in onnxruntime.get_ep_devices() if item.ep_name == _PROVIDER]
    options = onnxruntime.SessionOptions()
    for key, value in {"session.disable_cpu_ep_fallback": "1", **(entries or {})}.items():
        options.add_session_config_entry(key, value)
    fixed = {
        "backend_type": "htp",
        # quantisation of graph inputs stays in the graph that HTP runs
        "offload_graph_io_quantization": "0",
    }
    options.add_provider_for_devices(devices[:1], {**fixed, **provider})
    return onnxruntime.InferenceSession(model, options)


def prepare(request: dict[str, Any]) -> dict[str, Any]:
    """Compiles the graphs into one binary, and returns what the provider recorded about each of them."""
    sessions = _compile(request)
    for session, graph in zip(sessions, request["graphs"], strict=True):
        if "inputs" in graph:
            _answer(session, graph["inputs"], graph["outputs"])
    return _compiled(request)


def _chips(request: dict[str, Any]) -> dict[str, str]:
    """Provider options that select the chips."""
    chips = {"soc_model": ",".join(str(soc["soc_model"]) for soc in request["socs"])}
    if len(request["socs"]) > 1:
        # for one chip the number says it all, and the provider is known to honour it
        chips["htp_arch"] = ",".join(str(soc["arch"]) for soc in request["socs"])
    return chips


def _compile(request: dict[str, Any]) -> list[onnxruntime.InferenceSession]:
    graphs = request["graphs"]
    sessions = []
    for index, graph in enumerate(graphs):
        entries = {
            "ep.context_enable": "1",
            "ep.context_embed_mode": "0",
            "ep.context_file_path": graph["prepared"],
        }
        if len(graphs) > 1:
            entries["ep.share_ep_contexts"] = "1"
            entries["ep.stop_share_ep_contexts"] = str(int(index == len(graphs) - 1))
        sessions.append(_session(graph["model"], _chips(request), entries))
    return sessions


def _compiled(request: dict[str, Any]) -> dict[str, Any]:
    """Returns what the provider recorded; refuses a record of other chips than those asked for."""
    recorded = [_recorded(graph["prepared"]) for graph in request["graphs"]]
    chips = _chips(request)
    for compatibility, _ in recorded:
        fields = compatibility.split(":")
        if len(fields) <= _SOC_FIELD or fields[_SOC_FIELD] != chips["soc_model"]:
            return {
                "refused": f"the compiler recorded {compatibility!r} and not soc_model {chips['soc_model']}"
            }
        if "htp_arch" in chips and fields[_ARCH_FIELD] != chips["htp_arch"]:
            return {"refused": f"the compiler recorded {compatibility!r} and not HTP {chips['htp_arch']}"}
    binaries = {binary for _, binary in recorded}
    if len(binaries) != 1:
        return {"refused": f"the compiler wrote the binaries {sorted(binaries)} and not one"}
    return {"compatibility": [item for item, _ in recorded], "binary": binaries.pop()}


def _recorded(prepared: str) -> tuple[str, str]:
    """Returns versions and target of an EPContext model, and the name of its binary."""
    model = onnx.load(prepared, load_external_data=False)
    compatibility = {item.key: item.value for item in model.metadata_props}.get(_COMPATIBILITY, "")
    attributes = {item.name: item for node in model.graph.node for item in node.attribute}
    return compatibility, attributes["ep_cache_context"].s.decode()


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Executes a prepared model on the emulator."""
    session = _session(request["model"], {"soc_model": str(request["soc_model"])})
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
    """Executes graphs on the emulator as often as it is asked; each answer begins with 0, or 1 if refused."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the vendor's libraries print to standard output

    def send(status: int, content: bytes) -> None:
        answers.write(bytes([status]) + len(content).to_bytes(8, "little") + content)
        answers.flush()

    try:
        sessions, made = _served(request)
        send(int("refused" in made), json.dumps(made).encode())
        while header := sys.stdin.buffer.read(8):
            message = sys.stdin.buffer.read(int.from_bytes(header, "little"))
            result = io.BytesIO()
            _answer(sessions[message[0]], io.BytesIO(message[1:]), result)
            send(0, result.getvalue())
    except Exception as error:  # the boundary: every refusal of the vendor's code is told as text
        send(1, str(error).encode())


def _served(request: dict[str, Any]) -> tuple[list[onnxruntime.InferenceSession], dict[str, Any]]:
    if "graphs" in request:
        return _compile(request), _compiled(request)
    return [_session(request["model"], {"soc_model": str(request["soc_model"])})], {}


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
