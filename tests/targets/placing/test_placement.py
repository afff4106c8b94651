"""Where the nodes of a quantised graph go when several processors stand in line."""

import numpy as np
import pytest

from targets.contract.registry import find_target
from targets.devices.catalogue import find_device
from targets.placing.placement import place_component
from targets.placing.units import adjoining_units, computing_units
from targets.snapdragon.hexagon.accelerator import HvxAccelerator
from targets.snapdragon.htp.accelerator import HtpAccelerator
from targets.snapdragon.socs import find_htp_soc
from tests.targets.support import make_component

CONSTANTS = {
    "s": np.float32(0.05),
    "z": np.uint8(128),
    "gq": np.arange(8, dtype=np.int8),
    "gs": np.float32(0.02),
    "wq": np.ones((8, 8), np.int8),
}


def _quantised(rows):
    text = f"""(float[{rows},8] x) => (float[{rows},8] y) {{
        xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)
        sigmoid = Sigmoid(xd)
        aq = QuantizeLinear(sigmoid, s, z)  ad = DequantizeLinear(aq, s, z)
        gain = DequantizeLinear(gq, gs)  norm = LayerNormalization(ad, gain)
        nq = QuantizeLinear(norm, s, z)  nd = DequantizeLinear(nq, s, z)
        w = DequantizeLinear(wq, gs)  product = MatMul(nd, w)  relu = Relu(product)
        pq = QuantizeLinear(relu, s, z)  y = DequantizeLinear(pq, s, z)
    }}"""
    return make_component(text, CONSTANTS)


@pytest.fixture
def processors():
    return [HtpAccelerator(find_htp_soc("SM8750")), HvxAccelerator()]


def _place(component, processors, refused=None):
    on_cpu = find_target("snapdragon").partition(component, find_device("galaxy-s25"))
    return {row.node: row for row in place_component(component, processors, on_cpu, refused).nodes}


def test_what_the_first_processor_refuses_goes_to_the_next_with_its_codes(processors):
    rows = _place(_quantised(8192), processors)
    assert {name for name, row in rows.items() if row.placement == "hvx"} == {"ad", "gain", "norm", "nq"}
    assert {str(row.placement) for row in rows.values()} == {"htp", "hvx"}
    assert rows["norm"].reason.startswith("integer kernel; not on HTP: HTP takes no signed 8-bit gain")
    assert "unsigned" in rows["norm"].remedy
    assert rows["nq"].reason == "integer kernel; it belongs to a node on HVX"


def test_what_the_first_compiler_has_refused_goes_to_the_next(processors):
    rows = _place(_quantised(8192), processors, refused={processors[0].name: ["product"]})
    assert {name for name, row in rows.items() if row.placement == "hvx"} >= {"norm", "product", "relu"}
    assert "not on HTP: its compiler refuses the node" in rows["product"].reason


def test_what_the_second_compiler_has_refused_goes_to_the_cpu(processors):
    rows = _place(_quantised(8192), processors, refused={"htp": ["product"], "hvx": ["product"]})
    assert rows["product"].placement == "cpu"
    assert "not on HTP: its compiler refuses the node" in rows["product"].reason
    assert "not on HVX: its compiler refuses the node" in rows["product"].reason
    assert rows["norm"].placement == "hvx"


def test_a_run_too_small_for_a_call_goes_to_the_cpu(processors):
    rows = _place(_quantised(4), processors)
    assert rows["norm"].placement == "cpu"
    assert "not on HVX: a run of 32 operations is not worth a call of its own" in rows["norm"].reason
    assert {name for name, row in rows.items() if row.placement != "htp"} == {"norm"}


def test_the_first_processor_gets_small_runs_too(processors):
    rows = _place(_quantised(4), processors[1:])
    assert {str(row.placement) for row in rows.values()} == {"hvx"}


def test_floats_stay_off_the_vector_units(processors):
    shape = "float[2,2,2,2,16,256]"
    component = make_component(
        f"({shape} x) => ({shape} y) {{ t = Transpose<perm=[1,0,2,3,4,5]>(x)  y = Tanh(t) }}"
    )
    rows = _place(component, processors)
    assert (rows["t"].placement, rows["y"].placement) == ("cpu", "htp")
    assert "not on HTP: HTP transposes at most 5 axes" in rows["t"].reason
    assert "float arithmetic is not executed on HVX" in rows["t"].reason


def test_without_accelerators_the_cpu_says_why():
    assert {row.reason for row in _place(_quantised(4), []).values()} == {"compiled to CPU code"}


def test_units_end_at_codes():
    units = computing_units(_quantised(4).model.graph)
    assert [[node.op_type for node in unit] for unit in units] == [
        ["Sigmoid"],
        ["LayerNormalization"],
        ["MatMul", "Relu"],
    ]
    assert len(adjoining_units(units)) == 1
    assert len(adjoining_units([units[0], units[2]])) == 2
