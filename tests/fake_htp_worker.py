"""Stands in for Qualcomm's tool: "prepares" by storing the graph, "executes" in ONNX Runtime's CPU provider.

Answers the requests of targets/snapdragon/htp/worker.py. `FAULT` is replaced when the script is installed.
"""

import io
import json
import os
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

FAULT = ""
NAMES = {57: "sm8650", 69: "sm8750", 87: "sm8850"}


def prepare(request):
    if FAULT == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if FAULT == "slow":
        time.sleep(60)
    if FAULT == "1002":
        Path("prepared.onnx").write_bytes(b"what the provider leaves behind")
        raise RuntimeError("Failed to finalize QNN graph. Error: QNN_COMMON_ERROR_MEM_ALLOC, Code: 1002")
    if FAULT == "refuses":
        refuse_sigmoid(request)
    chips = [str(soc["soc_model"]) for soc in request["socs"]]
    if len(chips) > 1 and len(request["graphs"]) > 1:
        raise RuntimeError("Multi-SoC EP context is currently unsupported with shared EP context usage.")
    binary = Path(request["graphs"][0]["prepared"]).stem + "_qnn.bin"
    for graph in request["graphs"]:
        for path in Path(graph["model"]).parent.iterdir():
            content = path.read_bytes()  # onnx reads no external data with several hard links
            path.unlink()
            path.write_bytes(content)
        model = onnx.load(graph["model"])
        for node in model.graph.node:
            if FAULT == "wrong" and node.op_type == "Relu":
                node.op_type = "Neg"
        onnx.save(model, graph["prepared"])
    write_binary(Path(binary), request["socs"])
    archs = ",".join(str(soc["arch"]) for soc in request["socs"]) if len(chips) > 1 else "0"
    field = f"v2:6:2.51.0:5.51.0:{archs}:{','.join(chips)}:0:0"
    return {"compatibility": [field] * len(request["graphs"]), "binary": binary}


def refuse_sigmoid(request):
    """Says which nodes it does not take in the provider's words."""
    nodes = [
        node
        for graph in request["graphs"]
        for node in onnx.load(graph["model"], load_external_data=False).graph.node
    ]
    names = [node.name for node in nodes if node.op_type == "Sigmoid"]
    if names:
        listed = "".join(f"{{ name: {name}, type: Sigmoid }}, " for name in names)
        sys.stderr.write(f"[E:onnxruntime] Unsupported nodes in QNN EP: {listed}\n")
        raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")


def write_binary(path, socs):
    """Code for several chips is a ZIP file with an entry for each."""
    if len(socs) == 1:
        path.write_bytes(b"another binary" if FAULT == "other" else b"binary")
        return
    with zipfile.ZipFile(path, "w") as container:
        for soc in socs[:1] if FAULT == "one chip" else socs:
            container.writestr(f"htp.cache.{NAMES[soc['soc_model']]}.0", b"code")


def answer(model, source, destination):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with np.load(source) as inputs:
        values = session.run(None, {item.name: inputs[item.name] for item in session.get_inputs()})
    names = [item.name for item in session.get_outputs()]
    np.savez(destination, **dict(zip(names, values, strict=True)))


def run(request):
    answer(request["model"], "inputs.npz", "outputs.npz")
    return {}


def serve(request):
    answers = os.fdopen(os.dup(1), "wb")

    def send(status, content):
        answers.write(bytes([status]) + len(content).to_bytes(8, "little") + content)
        answers.flush()

    if "graphs" in request:
        models = [graph["prepared"] for graph in request["graphs"]]
        send(0, json.dumps(prepare(request)).encode())
    else:
        models = [request["model"]]
        send(0, b"{}")
    while header := sys.stdin.buffer.read(8):
        message = sys.stdin.buffer.read(int.from_bytes(header, "little"))
        if FAULT == "dies":
            os.abort()
        if FAULT == "hangs":
            time.sleep(60)
        result = io.BytesIO()
        try:
            answer(models[message[0]], io.BytesIO(message[1:]), result)
            send(0, result.getvalue())
        except Exception as error:
            send(1, str(error).encode())


def main():
    request = json.loads(Path("request.json").read_text())
    if request["action"] == "serve":
        serve(request)
        return
    try:
        result = {"prepare": prepare, "run": run}[request["action"]](request)
    except Exception as error:
        result = {"refused": str(error)}
    Path("result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
