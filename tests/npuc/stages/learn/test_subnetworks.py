"""Sub-networks with fewer key/value heads than the full network: their caches are smaller."""

import onnx_ir as ir
import pytest

from npuc.artifact.weights_file import write_weights
from npuc.stages.learn.subnetworks import record_subnetwork_feeds, write_subnetworks
from passes.learning.pruning.dependencies import analyse
from passes.learning.pruning.plan import PlanOptions
from passes.learning.subnetworks.nested import Subnetwork, lay_out, nested_groups
from tests.captures import normalised


@pytest.fixture(scope="module")
def written(tiny_qwen, tmp_path_factory):
    """The folder, the program with the graphs of both networks, and the networks."""
    folder = tmp_path_factory.mktemp("model")
    program = normalised(tiny_qwen)
    groups = nested_groups(analyse(program), PlanOptions(keep_cache=False))
    widths = {group.name: group.size // 2 for group in groups if group.cached}
    assert widths
    networks = (Subnetwork("full", {}, 1.0), Subnetwork("low_power", widths, 0.8))
    lay_out(program, networks)
    write_weights(program.components, folder)
    for name, component in program.components.items():
        ir.save(component.model, folder / f"{name}.onnx")
    return folder, program, write_subnetworks(program, networks, folder)


def test_each_network_answers_with_a_cache_of_its_own_shape(written):
    folder, program, nested = written
    feeds = record_subnetwork_feeds(program, nested, program.requests[:1], folder)
    for role in ("prefill", "decode"):
        whole, narrow = (feeds[name][0]["past_key_0"].shape for name in (role, f"{role}_low_power"))
        assert narrow == (whole[0], whole[1] // 2, *whole[2:])
