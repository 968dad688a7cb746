"""Rules about scales and zero points."""

from __future__ import annotations

from tflite_surgeon.rules.registry import page

page(
    "zero-points-missing",
    """A tensor has scales and no zero points.

    LiteRT refuses the model. TFLM takes the tensor for one that is not quantised, without a word.
    """,
    advice="Store as many zero points as scales: 0 for symmetric types.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "zero-point-count",
    """A tensor has another number of zero points than scales.

    LiteRT refuses the model when the interpreter is made. TFLM reads the first and passes over the others.
    """,
    advice="Store as many zero points as scales.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "zero-point-range",
    """A zero point lies outside the integers of the tensor's type.

    LiteRT keeps 32 bits of the 64 in the file and compares with the type's range in few kernels only; XNNPACK
    refuses it. An integer that no value can have as its zero point shifts all others.
    """,
    advice="Write the zero point that was meant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "scale-count",
    """The number of scales is neither 1 nor the length of the quantised dimension.

    LiteRT refuses the model when the interpreter is made. A tensor has one scale, or one for each index of its
    quantised dimension.
    """,
    advice="Store one scale, or one for each channel.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "scale-value",
    """A scale is zero, negative, subnormal, infinite or not a number.

    A scale is the real value of one integer step: finite and above zero. Loaders accept everything; kernels
    refuse it, die of it, or compute zeros.
    """,
    advice="Compute the scale again from the range of the values.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "quantized-dimension",
    """Scales count along a dimension that does not exist, or that the kernel does not count along.

    LiteRT refuses a dimension that the tensor does not have. Kernels count scales along the output channels
    whatever is stored: where another dimension has the same length, they use the wrong scales without a word.
    """,
    advice="Write the right dimension.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "missing-quantization",
    """The kernel computes with integers and a tensor has no scale.

    Integer kernels read a scale of 0: the node is refused, or its output is constant.
    """,
    advice="Store scale and zero point, from the range of the values.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "quantization-scheme",
    """A tensor is quantised in a scheme that the kernel does not have, such as blocks.

    Blocks and several axes are newer schemes that few kernels read. The others ask for one scale, or one for
    each channel, and refuse the node.
    """,
    advice="Quantise it with one scale, or one for each channel.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "same-quantization",
    """Tensors whose integers are copied or compared as they are have different scales or zero points.

    Operators that move or compare integers without rescaling need the same scale and zero point on both sides.
    Some kernels compare and refuse, others copy: every value is then off by the ratio of the scales.
    """,
    advice="Give them one scale and zero point, or insert QUANTIZE.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "fixed-output-quantization",
    """The kernel computes in a fixed scale and zero point, and the output is stored with others.

    SOFTMAX, LOGISTIC, TANH, L2_NORMALIZATION and LOG_SOFTMAX have outputs of a known range, and their integer
    kernels compute in the scale that covers it. Where another is stored, the node is refused, or what follows
    misreads it.
    """,
    advice="Store the fixed ones, and express what reads the output anew.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "int16-zero-point",
    """A 16-bit tensor has a zero point other than 0.

    Kernels for 16-bit activations are symmetric: they do not subtract a zero point. They refuse one that is not
    0, or ignore it.
    """,
    advice="Set it to 0 and shift the integers.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "weights-zero-point",
    """Symmetric weights have a zero point other than 0.

    Kernels for symmetric weights skip the zero point. CONV_2D and XNNPACK refuse one that is not 0; others
    compute as if it were 0, and every product is off.
    """,
    advice="Shift or requantise the weights to the zero point 0.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "bias-zero-point",
    """A bias has a zero point other than 0.

    Kernels add the integers of a bias as they are. CONV_2D and DEPTHWISE_CONV_2D refuse another zero point than
    0; FULLY_CONNECTED ignores it.
    """,
    advice="Subtract it from the integers and set it to 0.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "product-scale",
    """The product of input scale and weights scale is negative or not a number.

    The kernel multiplies the scales of input and weights, and asks that the result is not negative; NaN fails
    too.
    """,
    advice="Correct the scale that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "multiplier-range",
    """A factor by which integers are rescaled is outside what the kernel can represent, and the process dies.

    ADD, SUB, SQUARED_DIFFERENCE and others rescale by fixed-point factors between 0 and 1 and end the process
    where one is not. A scale of 0, a negative or a missing one, or an output scale that is far too small lead
    there.
    """,
    advice="Correct the scale that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "activation-range",
    """The bounds of the fused activation do not fit 32 bits in the output's scale.

    The kernel expresses 0, 1 or 6 in steps of the output's scale. With a scale near zero that exceeds 32 bits
    and the node is refused.
    """,
    advice="Correct the output's scale.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "power-of-two-scale",
    """The kernel shifts bits and needs a scale that is a power of two.

    Some 16-bit and recurrent kernels replace the multiplication by a shift. They refuse a scale that is not a
    power of two, or not the one they count in.
    """,
    advice="Store the power of two and requantise.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "comparison-scale",
    """A comparison rescales by factors that must not be 1, zero or negative, and the process dies.

    Comparisons of integers bring both sides to one scale by factors that must not be exactly 1. A scale of 1, of
    0, a negative or a missing one ends the process.
    """,
    advice="Correct the scale.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "intermediate-quantization",
    """A recurrent node's intermediate tensors lack the scales that its integer kernel needs.

    The integer LSTM rescales between its steps and takes the scales from five (or twelve) intermediate tensors
    beside its inputs. Without them the node is refused.
    """,
    advice="Store them, or convert again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
