"""The runtimes that the checker speaks for, and what each demands of a bias scale."""

from __future__ import annotations

from typing import NamedTuple


class Runtime(NamedTuple):
    """A runtime and the way it is used."""

    name: str
    description: str


RUNTIMES: tuple[Runtime, ...] = (
    Runtime("litert", "ai-edge-litert 2.3 as it comes: XNNPACK takes the nodes it can"),
    Runtime("litert-no-delegate", "ai-edge-litert 2.3 with its own kernels only"),
    Runtime("tflite-2.14", "tflite-runtime 2.14: its own kernels prepare every node first"),
    Runtime("tflm", "TensorFlow Lite Micro"),
)
NAMES = tuple(runtime.name for runtime in RUNTIMES)
DEFAULT_TARGETS = ("litert", "litert-no-delegate")

# |input_scale * weights_scale - bias_scale| / output_scale may not pass this.
# Source: LiteRT kernel_util.cc, GetQuantizedConvolutionMultipler; the same in tflite-runtime 2.14 and TFLM.
BIAS_RATIO_LIMIT = 0.02

# |bias_scale - state_scale * weights_time_scale| may not reach this. Source: TFLM svdf_common.cc.
TFLM_SVDF_LIMIT = 1e-5


class BiasCheck(NamedTuple):
    """Where a runtime's own kernels apply BIAS_RATIO_LIMIT.

    Attributes:
        inputs: input types for which the check runs.
        per_channel: whether it also runs for weights with several scales.
        first_scale: a tensor with several scales counts with its first (TFLM); else with 0 (LiteRT).
    """

    inputs: frozenset[str]
    per_channel: bool = False
    first_scale: bool = False


_INTEGERS = frozenset({"UINT8", "INT8", "INT16"})
_LEGACY = frozenset({"UINT8"})
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")

# Source: fully_connected.cc (per-tensor branch only since LiteRT 1.1; every filter up to 1.0.1), and
# PopulateConvolutionQuantizationParams, which keeps the check for uint8 "for backward compatibility".
# TFLM has no uint8 kernels for these operators.
BIAS_CHECKS: dict[str, dict[str, BiasCheck]] = {
    "litert-no-delegate": {
        "FULLY_CONNECTED": BiasCheck(_INTEGERS),
        **{name: BiasCheck(_LEGACY) for name in _CONVOLUTIONS},
    },
    "tflite-2.14": {
        "FULLY_CONNECTED": BiasCheck(_INTEGERS, per_channel=True),
        **{name: BiasCheck(_LEGACY) for name in _CONVOLUTIONS},
    },
    "tflm": {"FULLY_CONNECTED": BiasCheck(frozenset({"INT8", "INT16"}), first_scale=True)},
}
# Input types for which TFLM has a kernel that adds a quantised bias. Source: TFLM kernels/*_common.cc.
TFLM_INPUTS = frozenset({"INT8", "INT16"})
