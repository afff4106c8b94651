"""Which nodes of a mixed graph go to HVX, and how its parts hand codes to each other."""

import dataclasses

import numpy as np
import pytest

from program.onnx_executor import OnnxExecutor
from targets.contract.names import CPU, REFUSED
from targets.errors import TargetError
from targets.placing.coverage import Coverage, NodeCoverage, operator_name
from targets.placing.placement import place_component
from targets.placing.segmentation import split_component
from targets.snapdragon.hexagon.accelerator import HvxAccelerator
from targets.snapdragon.hexagon.binding import bound_tensors, coded_names, encodings
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.survey import survey_component
from targets.snapdragon.hexagon.program.reference import IntegerReference
from tests.targets.snapdragon.hexagon.graphs import SCALE, ZERO, network
from tests.targets.support import make_component, random_feeds

HVX = [HvxAccelerator()]
STEPS = {"s": SCALE, "z": ZERO}


def _on_cpu(component, refused=()):
    rows = []
    for node in component.model.graph:
        place = REFUSED if node.op_type in refused else CPU
        rows.append(NodeCoverage(node_name(node), operator_name(node), place, "no kernel"))
    return Coverage(component.name, tuple(rows))


def _mixed():
    """A residual sum around Sin, which HVX has no kernel for; what Sin reads is read by Add too."""
    text = """(float[4,8] x) => (float[4,8] y) {
        xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)
        r = Sigmoid(xd)
        rq = QuantizeLinear(r, s, z)  rd = DequantizeLinear(rq, s, z)
        e = Sin(rd)
        eq = QuantizeLinear(e, s, z)  ed = DequantizeLinear(eq, s, z)
        a = Add(rd, ed)
        aq = QuantizeLinear(a, s, z)  y = DequantizeLinear(aq, s, z)
    }"""
    return make_component(text, STEPS, "mixed")


def test_a_pair_belongs_to_the_node_beside_it():
    component = _mixed()
    places = {row.node: row.placement for row in place_component(component, HVX, _on_cpu(component)).nodes}
    assert {name for name, place in places.items() if place == CPU} == {"rd", "e", "eq"}
    assert set(places.values()) == {CPU, "hvx"}


def test_codes_and_not_floats_go_from_part_to_part():
    component = _mixed()
    coverage = place_component(component, HVX, _on_cpu(component))
    parts = split_component(component, coverage, codes=True)
    assert [str(part.processor) for part in parts] == ["hvx", "cpu", "hvx"]
    border = {spec.name: spec.dtype.name for part in parts[1:] for spec in part.component.inputs}
    assert border == {"rq": "UINT8", "eq": "UINT8"}
    values = random_feeds(component)
    (expected,) = OnnxExecutor(component.model)(values).values()
    values = dict(values)
    for part in parts:
        values |= OnnxExecutor(part.component.model)(values)
    np.testing.assert_array_equal(values["y"], expected)


def test_the_integer_reference_reads_and_gives_codes_where_the_graph_does():
    component = _mixed()
    parts = split_component(component, place_component(component, HVX, _on_cpu(component)), codes=True)
    last = parts[-1].component
    codes = {spec.name: np.arange(32, dtype=np.uint8).reshape(4, 8) for spec in last.inputs}
    (actual,) = IntegerReference(import_integer_program(last))(codes).values()
    (expected,) = OnnxExecutor(last.model)(codes).values()
    assert np.abs(actual - expected).max() <= 1.001 * float(SCALE)
    (given,) = IntegerReference(import_integer_program(parts[0].component))(random_feeds(component)).values()
    assert given.dtype == np.uint8


def test_a_node_without_any_kernel_is_refused_with_both_reasons():
    component = _mixed()
    coverage = place_component(component, HVX, _on_cpu(component, refused=("Sin",)))
    (row,) = coverage.refused
    assert row.op_type == "Sin"
    assert "no integer kernel for Sin" in row.reason and "on the CPU: no kernel" in row.reason


def test_the_survey_goes_on_behind_what_it_refuses():
    graph = _mixed()
    refused = survey_component(graph, list(graph.model.graph))
    assert [node.op_type for node in refused] == ["Sin"]
    whole = network()
    assert survey_component(whole, list(whole.model.graph)) == {}


def test_an_activation_of_another_type_is_refused_with_its_readers():
    text = """(float[4,8] x) => (float[4,8] y) {
        xq = QuantizeLinear(x, s, i)  xd = DequantizeLinear(xq, s, i)
        r = Sigmoid(xd)
        rq = QuantizeLinear(r, s, z)  y = DequantizeLinear(rq, s, z)
    }"""
    component = make_component(text, STEPS | {"i": np.asarray(3, np.int8)}, "signed")
    rows = place_component(component, HVX, _on_cpu(component)).nodes
    assert {row.placement for row in rows} == {CPU}


def test_a_binding_restores_the_encodings():
    component = network()
    program = import_integer_program(component)
    binding = encodings(program)
    (restored,) = bound_tensors(component.inputs, binding)
    original = program.inputs[0]
    assert (restored.scale, restored.zero_point) == (original.scale, original.zero_point)
    assert coded_names(component.inputs) == frozenset()
    unread = [*component.inputs, dataclasses.replace(component.inputs[0], name="unread")]
    assert len(bound_tensors(unread, binding)) == 1
    with pytest.raises(TargetError, match="cannot be read"):
        bound_tensors(component.inputs, binding | {"zero point of x": "many"})
