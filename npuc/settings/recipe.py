"""The recipe: every setting of a compile, as versioned data. Schema and documentation come from these models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from npuc.compare.bounds import AGREEMENT_BOUNDS, FP8_SIGNAL_TO_NOISE, NPU_SIGNAL_TO_NOISE

LayerFormatName = Literal["base", "float32", "float16", "e4m3", "e5m2"]
"""`program.number_format.Format`, or `base`: the format of everything that is not FP8."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Capture(_Section):
    """How the model is turned into static-shape graphs."""

    image_height: int = Field(
        256, ge=32, le=4096, multiple_of=32, description="Image height fixed at capture, px."
    )
    image_width: int = Field(
        256, ge=32, le=4096, multiple_of=32, description="Image width fixed at capture, px."
    )
    prefill_length: int = Field(64, ge=1, le=8192, description="Prompt tokens handled by one prefill call.")
    cache_length: int = Field(
        256, ge=8, le=1 << 18, description="Tokens the KV cache holds: prompt plus answer."
    )
    seed: int = Field(0, ge=0, description="Seed of synthetic calibration requests.")
    input_shapes: dict[str, tuple[Annotated[int, Field(ge=1)], ...]] = Field(
        default_factory=dict, description="Shapes of inputs that an ONNX file leaves open, by name."
    )


class PrecisionOverride(_Section):
    """One exception from the modality's format."""

    pattern: str = Field(
        description="Shell-style pattern matched against node and weight names.", min_length=1
    )
    format: LayerFormatName = Field(description="Format for the matched nodes.")


class Precision(_Section):
    """Which format each part of the program computes in."""

    mode: Literal["by_modality", "auto"] = Field(
        "by_modality", description="`auto` measures both FP8 formats per layer and takes the better one."
    )
    base: Literal["float32", "float16"] = Field(
        "float16",
        description="Format of everything that is not FP8: norms, softmax, embedding, head, KV cache.",
    )
    vision: LayerFormatName = Field("e4m3", description="Weights and activations of vision layers.")
    audio: LayerFormatName = Field("e4m3", description="Weights and activations of audio layers.")
    text: LayerFormatName = Field("e5m2", description="Weights and activations of text layers.")
    fusion: LayerFormatName = Field(
        "base", description="Cross-modal attention and projections between modalities."
    )
    overrides: tuple[PrecisionOverride, ...] = Field((), description="Exceptions; the first match wins.")
    npu: str = Field(
        "auto",
        pattern=r"^[a-z][a-z0-9_.-]{0,31}$",
        description="What the NPU computes in: `float16`, bits of activations and weights (`a16w8`, `a8w8`, `a16w4`),"
        " or a vendor's own format. `auto` takes the first that the chip has, and the CPU where there is no NPU back"
        " end or its tool is not installed. `cpu` leaves the NPU out. `npuc devices ID` lists the formats.",
    )
    error_budget: float = Field(
        0.05,
        gt=0,
        le=1,
        description="`auto` keeps a layer in the base format if its relative output error in FP8 exceeds this.",
    )

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        chosen = {name: getattr(self, name) for name in ("vision", "audio", "text", "fusion")}
        chosen |= {f"override {entry.pattern}": entry.format for entry in self.overrides}
        for name, format_ in chosen.items():
            if format_.startswith("float") and format_ != self.base:
                raise ValueError(f"{name} is {format_}, but base is {self.base}: use base, e4m3 or e5m2")
        return self


class Npu(_Section):
    """How graphs are handed to the NPU's compiler."""

    also_devices: tuple[str, ...] = Field(
        (),
        description="Ids of further devices whose chips each NPU binary also has code for; the model is compiled in"
        " a number format that all the chips compute in.",
    )
    part_megabytes: int | None = Field(
        None,
        ge=1,
        lt=1000,
        description="Most weights of a part, MB: a larger decoder is cut between its layers. Default: what the NPU's"
        " compiler takes.",
    )


class Calibration(_Section):
    """How activation scales are chosen."""

    method: Literal["absmax", "percentile", "least_error"] = Field(
        "least_error",
        description="Largest value seen, a percentile of it, or the scale with the least squared error.",
    )
    percentile: float = Field(
        99.99, gt=50, le=100, description="For `percentile`: share of values kept in range."
    )
    samples: int = Field(16, ge=1, le=4096, description="Requests run to observe activations.")
    inputs: str | None = Field(
        None,
        description="Recorded inputs of an ONNX, .pt2 or Python model: an .npz file, or a folder of them. Without "
        "them, random numbers.",
    )


class Subnetwork(_Section):
    """One nested sub-network of the mid tier."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Name used by `npuc run --power`; the first is `full`."
    )
    operations: float = Field(gt=0, le=1, description="Share of the full model's operations.")


class Prune(_Section):
    """Nested sub-networks that are switched at run time."""

    subnetworks: tuple[Subnetwork, ...] = Field(min_length=1, description="From the largest to the smallest.")
    criterion: Literal["taylor", "activation_norm"] = Field(
        "taylor", description="Importance of channels: first-order Taylor, or activation times weight."
    )
    allocation: Literal["measured", "importance"] = Field(
        "measured",
        description="Where channels go: by the loss measured with each layer narrowed alone, or by importance; "
        "without training, and where measuring would take more than 1e13 multiply-accumulates, by importance.",
    )
    keep_cache: bool = Field(
        True, description="Leave key/value heads alone, so that a switch keeps the KV cache valid."
    )
    keep_full: bool = Field(
        False,
        description="Leave the full network exactly as it is: sub-networks learn gains and biases of their own, and no "
        "shared weight changes.",
    )
    least_width: float = Field(
        0.125, gt=0, le=1, description="Share of a layer's channels that the smallest sub-network keeps."
    )
    steps: int = Field(
        1200,
        ge=0,
        le=1_000_000,
        description="Updates of the weights, all sub-networks together; 0: no training.",
    )
    learning_rate: float = Field(
        2e-4,
        gt=0,
        le=1,
        description="Highest learning rate; warm-up over 5 % of the steps, then half a cosine.",
    )
    batch_size: int = Field(
        48, ge=1, le=65536, description="Requests a step; those that share a picture go together."
    )
    hidden_weight: float = Field(
        5.0,
        ge=0,
        description="Weight of the difference of what encoders and fusion hand on, beside the divergence of answers.",
    )
    requests: int = Field(
        9600,
        ge=1,
        le=1 << 20,
        description="Requests that the full model answers before training, kept in memory.",
    )
    data: str | None = Field(
        None,
        description="Manifest (JSON Lines with image, audio, text) of requests, which decide importance too; "
        "default: what the model folder brings along, else its calibration requests.",
    )
    seed: int = Field(0, ge=0, description="Of the requests and their order.")

    @model_validator(mode="after")
    def _nested(self) -> Self:
        shares = [subnetwork.operations for subnetwork in self.subnetworks]
        names = [subnetwork.name for subnetwork in self.subnetworks]
        if names[0] != "full" or shares[0] != 1.0:
            raise ValueError("the first sub-network must be full, with operations = 1.0")
        if len(set(names)) < len(names) or shares != sorted(set(shares), reverse=True):
            raise ValueError("sub-networks need names of their own, from the largest to the smallest")
        return self


class Distill(_Section):
    """A smaller student of the same family."""

    params: str = Field(
        "25%",
        pattern=r"^\d+(\.\d+)?(M|B|%)$",
        description="Size of the student: `1.0B`, `300M`, or `25%` of the teacher.",
    )
    largest_share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="The student never has more than this share of the teacher's parameters.",
    )
    vision_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the vision tower in the student's parameters; default: the teacher's.",
    )
    criterion: Literal["activation_norm", "weight_norm"] = Field(
        "activation_norm",
        description="What the student's first weights are chosen by: activation times weight on batches of the "
        "training data, or the norm of weights alone.",
    )
    data: str | None = Field(
        None,
        description="Training data: a manifest (JSON Lines), for `demo` the folder that "
        "`npuc.demo.prepare` writes. Default: what the model folder brings along.",
    )
    steps: int = Field(1000, ge=1, description="Updates of the student's weights.")
    batch_size: int = Field(16, ge=1, le=65536, description="Examples a step.")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Highest learning rate; default: the family's (0.003 for `demo`, 0.0003 for Qwen3-VL).",
    )
    temperature: float = Field(
        2.0, gt=0, le=100, description="Softens the teacher's and the student's distributions."
    )
    logits_weight: float = Field(
        1.0, ge=0, description="Weight of the divergence from the teacher's distribution."
    )
    hidden_weight: float = Field(5.0, ge=0, description="Weight of the difference of hidden states.")
    attention_weight: float = Field(0.0, ge=0, description="Weight of the divergence of attention maps.")
    task_weight: float = Field(0.5, ge=0, description="Weight of the cross entropy with the right answers.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="What matrix products compute in while training; the weights are float32."
    )
    top_logits: int = Field(
        0,
        ge=0,
        description="Keep this many of the teacher's logits of each token on disk; 0: compute them each time.",
    )
    seed: int = Field(0, ge=0, description="Of batches and random numbers.")


class Qat(_Section):
    """Quantisation-aware training: the quantised program is fine-tuned towards the float program."""

    steps: int = Field(200, ge=1, le=1_000_000, description="Updates of the weights.")
    learning_rate: float = Field(
        1e-5,
        gt=0,
        le=1,
        description="Highest learning rate; warm-up over 5 % of the steps, then half a cosine.",
    )
    batch_size: int = Field(8, ge=1, le=65536, description="Requests a step.")
    requests: int = Field(
        256, ge=1, le=1 << 20, description="Requests that the float program answers, kept in memory."
    )
    data: str | None = Field(
        None,
        description="Manifest (JSON Lines with image, audio, text) of requests; "
        "default: the model's calibration requests.",
    )
    learn_scales: bool = Field(False, description="Train the scales of weights and activations too.")
    seed: int = Field(0, ge=0, description="Of the choice and the order of requests.")


class Augment(_Section):
    """Random changes of the examples of a manifest, so that a small one teaches more; answers are never changed."""

    image: float = Field(0.0, ge=0, le=1, description="Strength of random crops and colour jitter; 0: off.")
    audio: float = Field(0.0, ge=0, le=1, description="Strength of added noise; 0: off.")
    text: float = Field(0.0, ge=0, le=1, description="Strength of changes of texts; 0: off.")
    syntax: bool = Field(
        False,
        description="Whether texts change by rules, too: questions and commands, order of clauses, active and passive;"
        " else by WordNet synonyms alone.",
    )
    ramp: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of a distillation over which the strengths rise from 0. Fine-tuning and sub-networks learn "
        "from requests that were answered before, all at full strength.",
    )


class Gates(_Section):
    """What must hold before an artifact is written."""

    max_relative_error_float32: float = Field(
        AGREEMENT_BOUNDS["float32"],
        gt=0,
        description="Largest |binary - reference| / max |reference| of a component that computes in float32.",
    )
    max_relative_error_float16: float = Field(
        AGREEMENT_BOUNDS["float16"],
        gt=0,
        description="The same for components that compute in float16 but have no FP8 layer.",
    )
    min_sqnr_fp8: float = Field(
        FP8_SIGNAL_TO_NOISE,
        gt=0,
        description="Least signal-to-noise ratio, dB, of a component with FP8 layers against the reference.",
    )
    min_sqnr_npu_float16: float = Field(
        NPU_SIGNAL_TO_NOISE["float16"],
        gt=0,
        description="The same for one layer that an NPU computes in float16, against the graph made for the NPU;"
        " n layers may have n times the noise, 10 log10(n) dB less.",
    )
    min_sqnr_npu_16_bit: float = Field(
        NPU_SIGNAL_TO_NOISE["16 bit"], gt=0, description="The same with 16-bit activations (a16w8, a16w4)."
    )
    min_sqnr_npu_8_bit: float = Field(
        NPU_SIGNAL_TO_NOISE["8 bit"], gt=0, description="The same with 8-bit activations (a8w8)."
    )
    max_rewrite_error: float = Field(
        1e-4,
        gt=0,
        description="Largest |rewritten - source| / max |source| of an output of the rewritten graph in float32,"
        " against the model as it was given; integers and bools have to be equal.",
    )
    min_source_sqnr_float32: float = Field(
        80.0,
        gt=0,
        description="Least signal-to-noise ratio, dB, of each output of a final graph in float32 against the model as"
        " it was given.",
    )
    min_source_sqnr_float16: float = Field(40.0, gt=0, description="The same of a final graph in float16.")
    min_source_sqnr_16_bit: float = Field(
        30.0,
        gt=0,
        description="The same of a graph for an NPU with 16-bit activations and 8-bit weights (a16w8).",
    )
    min_source_sqnr_8_bit: float = Field(
        10.0,
        gt=0,
        description="The same of a final graph with FP8 layers, or of one for an NPU with fewer bits (a8w8, a16w4,"
        " or a vendor's 8 bits), where an output makes no decisions.",
    )
    min_source_decisions: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Least share of clear decisions of the model (the largest of logits or of a softmax) that a final"
        " graph with FP8 layers or fewer bits keeps.",
    )


class Recipe(_Section):
    """Every setting of one compile."""

    version: Literal[1] = Field(1, description="Version of this schema.")
    name: str = Field("custom", description="Shown in reports.", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    extends: Literal["high", "mid", "low"] | None = Field(
        None, description="Tier recipe whose settings these replace."
    )
    capture: Capture = Field(default_factory=Capture)
    precision: Precision = Field(default_factory=Precision)
    calibration: Calibration = Field(default_factory=Calibration)
    prune: Prune | None = Field(None, description="Mid tier: nested sub-networks.")
    distill: Distill | None = Field(None, description="Low tier: distilled student.")
    qat: Qat | None = Field(None, description="Fine-tune after quantisation; any tier.")
    npu: Npu = Field(default_factory=Npu)
    augment: Augment | None = Field(None, description="Random changes of training data; any tier.")
    gates: Gates = Field(default_factory=Gates)

    def with_values(self, section: str, **values: object) -> Self:
        """Returns the recipe with values of one section replaced; they are not validated again."""
        return self.model_copy(update={section: getattr(self, section).model_copy(update=values)})


def recipe_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a recipe."""
    return Recipe.model_json_schema()
