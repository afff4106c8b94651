"""A small Qwen3-VL the way a large one goes: cut, requantised and prepared part by part, executed as a chain."""

import numpy as np
import onnx_ir as ir
import pytest

from exporter.families.kv_cache import KvCache
from npuc.artifact.weights_file import write_weights
from passes.cut.layer_plan import stored_size
from passes.cut.split_program import split_program
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.share_weights import prepare_shared
from targets.snapdragon.socs import find_htp_soc
from tests.tiny_decoder import tiny_decoder

LIMIT = 350_000
"""Bytes in float32: two parts."""


@pytest.fixture(scope="module")
def program(tiny_qwen):
    return tiny_decoder(tiny_qwen)


def _sample(component, length):
    """A step behind `length` cached tokens."""
    random = np.random.default_rng(length)
    cache = KvCache(component.inputs)
    cache.length = length
    feeds = {spec.name: random.normal(size=spec.shape).astype(spec.numpy_dtype) for spec in component.inputs}
    tokens = feeds["inputs_embeds"].shape[1]
    feeds["mask"] = cache.mask(tokens, tokens)
    feeds["position_ids"] = np.broadcast_to(length + np.arange(tokens), (3, 1, tokens)).copy()
    if "logit_index" in feeds:
        feeds["logit_index"] = np.array([tokens - 1])
    return feeds


def test_parts_of_prefill_and_decode_share_a_binary_and_chain_in_the_emulation(tool, program, tmp_path):
    samples = {name: _sample(component, 12) for name, component in program.components.items()}
    expected = {name: OnnxExecutor(program.components[name].model)(feeds) for name, feeds in samples.items()}
    chains, _ = split_program(program, LIMIT, stored_size)
    for index, pair in enumerate(zip(*(chain.parts for chain in chains), strict=True)):
        parts = {name: program.components[part] for name, part in zip(samples, pair, strict=True)}
        folder = tmp_path / f"part_{index}"
        folder.mkdir()
        feeds = {
            name: {spec.name: samples[name][spec.name] for spec in part.inputs}
            for name, part in parts.items()
        }
        for name, part in parts.items():
            requantize(part, Scheme.A16W8, [feeds[name]])
        write_weights(parts, folder)
        models = {name: folder / f"{name}.onnx" for name in parts}
        for name, part in parts.items():
            ir.save(part.model, models[name])
        shared = prepare_shared(
            models, find_htp_soc("SM8750"), tmp_path / f"binary_{index}", samples=feeds, environment=tool
        )
        for name, received in shared.outputs.items():
            reference = OnnxExecutor(models[name])(feeds[name])
            assert set(received) == set(reference)
            for output, array in reference.items():
                assert signal_to_noise(array, received[output]) >= 50, (index, name, output)
            samples[name] |= received  # what the next part reads comes from the emulation
    for name, feeds in samples.items():
        # what rounding the weights to 8 bits costs, far above what a wrong link of the chain gives
        assert signal_to_noise(expected[name]["logits"], feeds["logits"]) >= 25
