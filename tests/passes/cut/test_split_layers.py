"""Cutting the decoder of a small Qwen3-VL."""

import dataclasses

import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.cut.layer_plan import layer_units, stored_size, weight_size
from passes.cut.split_layers import split_layers
from passes.cut.split_program import part_bytes, plan_parts, split_program
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.onnx_executor import OnnxExecutor
from program.program import Component, Role
from targets.placing.chain import ChainExecutor, ChainPart
from tests.graphs import seeded_feeds
from tests.tiny_decoder import tiny_decoder

LIMIT = 350_000
"""Bytes: two of the three layers with the embedding table, or one."""


@pytest.fixture(scope="module")
def program(tiny_qwen):
    """Prefill and decode, normalised; nobody may read a weight of it by accident: see `forbid_reading`."""
    return tiny_decoder(tiny_qwen)


@pytest.fixture
def fresh(program):
    return dataclasses.replace(program, components=dict(program.components))


def chain(parts, outputs):
    return ChainExecutor(
        [ChainPart(OnnxExecutor(part.model), tuple(spec.name for spec in part.inputs)) for part in parts],
        outputs,
    )


@pytest.mark.parametrize("limit", [LIMIT, 1])
@pytest.mark.parametrize("name", ["prefill", "decode"])
def test_chained_parts_equal_the_whole_bit_for_bit(name, limit, program):
    component = program.components[name]
    parts = split_layers(component, plan_parts([component], limit))
    assert len(parts) == (2 if limit == LIMIT else 4)  # each layer and the LM head on its own
    feeds = seeded_feeds(component.model)
    whole = OnnxExecutor(component.model)(feeds)
    received = chain(parts, tuple(whole))(feeds)
    assert set(received) == set(whole)
    for output, array in whole.items():
        np.testing.assert_array_equal(received[output], array, err_msg=output)


def test_only_the_state_and_the_tables_cross_a_cut(fresh):
    specs = {name: fresh.components[name].inputs for name in fresh.components}
    chains, _ = split_program(fresh, LIMIT)
    assert [item.component for item in chains] == ["prefill", "decode"]
    for item in chains:
        first, last = (fresh.components[name] for name in item.parts)
        own = {spec.name for spec in specs[item.component]}
        made = {spec.name: spec for spec in first.outputs}
        crossing = [spec for spec in last.inputs if spec.name not in own]
        assert {spec.name for spec in crossing} == {"hidden_2", "table_0", "table_1"}
        assert all(made[spec.name] == spec for spec in crossing)  # name, shape and type


def test_a_cache_belongs_to_the_part_with_its_layer(fresh):
    split_program(fresh, LIMIT)
    first, last = fresh.components["prefill_part_0"], fresh.components["prefill_part_1"]
    for part, layers in ((first, {"0", "1"}), (last, {"2"})):
        assert part.role is Role.PREFILL
        for stem, specs in (("past_", part.inputs), ("new_", part.outputs)):
            found = {spec.name.rpartition("_")[2] for spec in specs if spec.name.startswith(stem)}
            assert found == layers
    assert "logit_index" in {spec.name for spec in last.inputs}
    assert "position_ids" not in {spec.name for spec in last.inputs}


def test_prefill_and_decode_share_the_weights_of_each_part(fresh):
    chains, _ = split_program(fresh, LIMIT)
    for prefill, decode in zip(*(item.parts for item in chains), strict=True):
        weights = [
            {name for name in fresh.components[part].model.graph.initializers if name.startswith("model.")}
            for part in (prefill, decode)
        ]
        assert weights[0] == weights[1] != set()


def test_no_weight_is_read(fresh):
    """The parts hold the very tensors of the component."""
    prefill = fresh.components["prefill"]
    tensors = {
        name: _Forbidden(value.const_value) for name, value in prefill.model.graph.initializers.items()
    }
    model = prefill.model.clone()
    for name, tensor in tensors.items():
        model.graph.initializers[name].const_value = tensor
    component = Component(prefill.name, prefill.role, prefill.modality, model)
    for part in split_layers(component, plan_parts([component], LIMIT)):
        for name, value in part.model.graph.initializers.items():
            assert value.const_value is tensors[name]


class _Forbidden:
    """A tensor that has a shape and no value."""

    def __init__(self, tensor):
        self.name, self.dtype, self.shape = tensor.name, tensor.dtype, tensor.shape
        self.nbytes, self.size = tensor.nbytes, tensor.size

    def numpy(self):
        raise AssertionError(f"{self.name} was read")

    __array__ = tobytes = numpy


def test_every_part_stays_below_the_limit_and_is_remarked(fresh):
    assert split_program(fresh, LIMIT, lambda tensor: weight_size(4)(tensor) // 2) == ([], [])
    chains, remarks = split_program(fresh, LIMIT)
    names = [name for item in chains for name in item.parts]
    assert [remark.node for remark in remarks] == names
    assert all(part_bytes(fresh.components[name]) <= LIMIT for name in names)
    assert all(remark.numbers["weight_bytes"] <= LIMIT for remark in remarks)


def test_a_layer_above_the_limit_is_remarked(fresh):
    _, remarks = split_program(fresh, 1)
    assert {remark.what for remark in remarks} == {"became a part above the limit"}


def test_cutting_is_deterministic(program):
    component = program.components["prefill"]
    ends = plan_parts([component], LIMIT)
    first, second = (
        [ir.to_onnx_text(part.model) for part in split_layers(component, ends)] for _ in range(2)
    )
    assert first == second


def test_cuts_of_another_model_are_refused(program):
    component = program.components["decode"]
    count = layer_units(component.model.graph).count
    with pytest.raises(PassError, match="another number of layers"):
        split_layers(component, (2, count + 1))
    part = split_layers(component, plan_parts([component], LIMIT))[0]
    with pytest.raises(PassError, match="different numbers of layers"):
        plan_parts([component, part], LIMIT, stored_size)


def test_codes_cross_the_cuts_of_a_quantised_decoder(program):
    source = program.components["decode"]
    component = Component(source.name, source.role, source.modality, source.model.clone())
    feeds = seeded_feeds(component.model)
    requantize(component, Scheme.A16W8, [feeds])
    parts = split_layers(component, plan_parts([component], 100_000))
    assert len(parts) == 2
    whole = OnnxExecutor(component.model)(feeds)
    received = chain(parts, tuple(whole))(feeds)
    for output, array in whole.items():
        np.testing.assert_array_equal(received[output], array, err_msg=output)
    crossing = {
        spec.name: spec.dtype for spec in parts[1].inputs if spec.name.startswith(("hidden", "table"))
    }
    assert crossing == dict.fromkeys(("hidden_2", "table_0", "table_1"), ir.DataType.UINT16)
    # each part quantises the mask itself, so that every operator of it lies between DequantizeLinear and QuantizeLinear
    readers = {use.node.op_type for value in parts[1].model.graph.inputs for use in value.uses()}
    assert readers <= {"QuantizeLinear", "DequantizeLinear"}
