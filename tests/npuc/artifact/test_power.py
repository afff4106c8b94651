"""Schedules of sub-networks and the switch between them."""

from __future__ import annotations

import numpy as np
import pytest

from npuc.artifact.artifact import Artifact
from npuc.artifact.manifest import ComponentRecord, TensorRecord
from npuc.artifact.power import PowerSchedule
from npuc.artifact.power_switch import PowerSwitch
from npuc.compare.records import SourceRecord
from npuc.errors import UsageError
from tests.npuc.conftest import SEGMENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("low_power", ["low_power"] * 4),
        ("full:2,low_power", ["full", "full", "low_power", "low_power"]),
        ("full:1, balanced:2, low_power", ["full", "balanced", "balanced", "low_power"]),
        ("low_power:1", ["low_power"] * 4),
    ],
)
def test_schedule_names_the_network_of_each_token(text, expected):
    schedule = PowerSchedule.parse(text)
    assert [schedule.name_at(token) for token in range(4)] == expected


@pytest.mark.parametrize(
    "text", ["", "full:", "full:0", "full:x,low_power", "full,low_power", ":3", "full:-1"]
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(UsageError, match="not a power schedule"):
        PowerSchedule.parse(text)


def test_an_unknown_subnetwork_is_refused():
    with pytest.raises(UsageError, match="no sub-network turbo"):
        PowerSchedule.parse("turbo").check(["full", "low_power"])


def test_a_switch_that_loses_the_cache_is_refused():
    caches = {"full": {("past_key_0", 4)}, "balanced": {("past_key_0", 4)}, "low_power": {("past_key_0", 2)}}
    PowerSchedule.parse("low_power").check_caches(caches)
    PowerSchedule.parse("full:2,balanced").check_caches(caches)
    with pytest.raises(UsageError, match="cache of full is not valid for low_power") as refused:
        PowerSchedule.parse("full:2,balanced:1,low_power").check_caches(caches)
    assert "keep_cache" in refused.value.remedy


def test_an_artifact_gives_each_network_its_cache_and_refuses_the_switch(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(Artifact, "require_own_files", lambda _self: None)  # there are none
    full, narrow = (decoder(name, heads) for name, heads in (("decode", 4), ("decode_low_power", 2)))
    (network,) = manifest.subnetworks
    low_power = network.model_copy(update={"name": "low_power", "components": {"decode": narrow.name}})
    changes = {"components": (full, narrow), "subnetworks": (network, low_power)}
    (tmp_path / "manifest.json").write_text(manifest.model_copy(update=changes).model_dump_json())
    artifact = Artifact(tmp_path)
    assert artifact.components("low_power")["decode"] == narrow
    with (
        pytest.raises(UsageError, match="cache of full is not valid for low_power"),
        artifact.executors(power="full:2,low_power"),
    ):
        pass


def decoder(name, heads):
    """The record of a decoder without binaries."""
    cache = TensorRecord(name="past_key_0", dtype="FLOAT16", shape=(1, heads, 8, 16))
    return ComponentRecord(
        name=name,
        role="decode",
        modality="text",
        reference=f"model/{name}.onnx",
        inputs=(cache,),
        outputs=(cache,),
        layers=(),
        source=SourceRecord(missing="made by hand"),
        segments=(SEGMENT,),
    )


def networks(calls):
    def executor(network, component):
        def call(feeds):
            calls.append((network, component))
            return {"y": np.zeros(1)}

        return call

    return {n: {c: executor(n, c) for c in ("encoder", "prefill", "decode")} for n in ("full", "low_power")}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        # without a prefill the first decode step computes token 0
        ({"encoder": "fusion", "decode": "decode"}, ["full", "full", "low_power"]),
        # with one, the prefill does
        ({"encoder": "fusion", "prefill": "prefill", "decode": "decode"}, ["full", "low_power", "low_power"]),
    ],
)
def test_the_switch_happens_between_tokens(roles, expected):
    calls = []
    switch = PowerSwitch(networks(calls), roles, PowerSchedule.parse("full:2,low_power"))
    for name in roles:
        if name != "decode":
            switch.executors[name]({})
    for _ in range(3):
        switch.executors["decode"]({})
    assert [network for network, component in calls if component == "decode"] == expected == switch.used
    assert all(network == "full" for network, component in calls if component != "decode")
