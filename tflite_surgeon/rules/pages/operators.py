"""Rules about what kernels demand of shapes, types and options."""

from __future__ import annotations

from tflite_surgeon.rules.registry import page

page(
    "same-type",
    """Two tensors of a node that must be of one type are not.

    The kernel copies or computes values of one type and has no conversion built in. It compares the types before
    anything else.
    """,
    advice="Insert QUANTIZE, DEQUANTIZE or CAST between them, or convert again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "operator-types",
    """A kernel does not exist for the types of the node's tensors.

    Each kernel is written for certain combinations of types. Some runtimes say so when the model loads, others
    only when the node runs; which one has which combination differs between them.
    """,
    advice="Use types that the operator's kernel has; see the page of the runtime.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "hybrid-model",
    """Weights are integers and activations are floats, and the runtime has no kernel for that.

    LiteRT computes such layers by quantising the activations as it goes. TFLM has no such kernels: a model whose
    weights alone were quantised does not load there.
    """,
    advice="Quantise the model fully, or use float weights, for this runtime.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "bias-type",
    """The bias is of another integer type than the kernel reads.

    Integer kernels add INT32 biases to 8-bit products and INT64 ones to 16-bit products. Where a kernel
    compares, it refuses the node; where it does not, it reads two biases as one, and beside the end of the
    tensor.
    """,
    advice="Store the same integers in the type that the kernel reads.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "bias-length",
    """The bias has another number of elements than the layer has output channels.

    Kernels that compare refuse the node. XNNPACK and TFLM do not compare and read beside the bias.
    """,
    advice="Give the bias one value for each output channel.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "bias-missing",
    """The kernel needs a bias and the node has none.

    CONV_2D needs a bias in LiteRT; without delegates DEPTHWISE_CONV_2D accepts none when it is prepared and then
    reads a null pointer.
    """,
    advice="Add a bias of zeros.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "fused-activation",
    """A fused activation function that the kernel does not have.

    Kernels know NONE, RELU, RELU6 and RELU_N1_TO_1; some know none of them. Others are refused, or passed over
    as if there were none, which changes the result.
    """,
    advice="Take it out of the node and put an operator behind it.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "option-value",
    """An option has a value that the kernel rejects, such as a stride of 0.

    A value that cannot be computed with, such as a stride or dilation of 0, is refused when the model loads;
    some kernels divide by it first and kill the process.
    """,
    advice="Write the value that was meant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "tensor-rank",
    """A tensor has too many or too few dimensions for the kernel.

    Kernels index dimensions by position and compare how many there are before they do.
    """,
    advice="Reshape around the node.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "dimension-match",
    """Dimensions of a node's tensors do not fit together.

    Dimensions of two tensors must be equal for the kernel to pair their elements; it compares them when the
    model loads.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "channels",
    """The numbers of channels of input, weights and output do not fit together.

    The channels of the input must be those of the weights, or a multiple of them for grouped convolutions.
    XNNPACK and TFLM compare less than LiteRT's own kernels.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "inner-dimension",
    """The dimensions over which a product is summed are of different length.

    Each output of a matrix product sums over a dimension that both factors have. LiteRT's FULLY_CONNECTED
    divides the input's elements by it and drops what is left over.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "broadcast",
    """Shapes do not broadcast: a dimension differs and is not 1.

    Shapes are compared from the last dimension on: each pair must be equal, or one of them 1.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "axis",
    """An axis is outside the tensor's dimensions.

    Axes count from 0, negative ones from the end. LiteRT refuses one outside when it is constant; a computed one
    is met when the model runs.
    """,
    advice="Write an axis that exists.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "element-count",
    """A shape has another number of elements than the values that it is given to.

    The values are the same in another shape, so their number must be the same too. One dimension may be left
    open as -1.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "split-sizes",
    """A dimension does not divide into the parts that the node asks for.

    The parts must add up to the dimension, and there must be as many outputs as parts.
    """,
    advice="Correct the number or sizes of the parts.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "padding-values",
    """Paddings are negative, too large, or of the wrong shape.

    Paddings are a constant with a row of two numbers for each dimension, neither negative. MIRROR_PAD cannot
    reflect more than there is.
    """,
    advice="Correct the paddings.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "slice-bounds",
    """A slice begins, ends or steps outside the tensor.

    A slice that leaves the tensor is refused where the kernel compares; elsewhere it reads beside the tensor.
    """,
    advice="Correct begin, end or stride.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "permutation",
    """A permutation does not name each dimension once.

    A permutation that names a dimension twice, or one that is not there, is refused when it is constant.
    """,
    advice="Correct the permutation.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "index-bounds",
    """An index lies outside the dimension that it counts along.

    LiteRT compares indices when the model runs, constants included, and refuses to go on. TFLM compares in some
    kernels only.
    """,
    advice="Correct the index.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "block-size",
    """A dimension is no multiple of the block size.

    Blocks are moved between the spatial dimensions and the channels as wholes; a remainder cannot be placed.
    """,
    advice="Correct the block size or the shape.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "positive-size",
    """A size must be positive and is not.

    A size of 0 is refused by LiteRT when the model loads; TFLM divides by it when it runs, and the
    process dies.
    """,
    advice="Write the size that was meant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "constant-needed",
    """The kernel reads an input when the model is loaded, and it is not constant.

    TFLM has no dynamic memory: whatever determines a shape must be known when the model loads. LiteRT needs it
    for a few inputs only.
    """,
    advice="Make the input a constant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "output-shape",
    """The stored shape of the output is not the one that the kernel demands.

    TFLM believes stored shapes and compares them with what the node would make. LiteRT computes its own.
    """,
    advice="Store the right shape.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "rank-limit",
    """A tensor has more dimensions than the kernel can count.

    Kernels are written for up to four, five, six or eight dimensions. What has more is refused when the model
    loads, or kills the process when it runs.
    """,
    advice="Collapse neighbouring dimensions.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "state-variable",
    """A state that the node keeps between runs is not marked as variable, or of the wrong shape.

    SVDF and LSTM keep a state between runs in a variable tensor. One that is not marked is cleared or shared
    with other tensors; kernels refuse it, or one of the wrong size.
    """,
    advice="Mark the tensor as a variable.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "gates",
    """Tensors of a recurrent node do not fit together: weights, biases, peepholes or projections.

    An LSTM has four gates, or three where input and forget gate are coupled, with weights, biases and optional
    peepholes for each: all or none, and of fitting shape.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "weights-format",
    """Weights are in a layout that the kernel does not read, such as shuffled or sparse.

    Shuffled and sparse layouts are read by single kernels for single types. Others refuse them, or read the
    bytes as plain weights.
    """,
    advice="Store plain weights.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "function-domain",
    """A constant is outside the values that the function is defined for.

    RSQRT is not defined below zero, and DIV not at zero. Kernels with integers check their constants and inputs
    and refuse to go on.
    """,
    advice="Correct the constant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "size-overflow",
    """Sizes computed from shapes and options do not fit the kernel's integers.

    Sizes are multiplied in 32 bits; LiteRT refuses what does not fit, tflite-runtime 2.14 and TFLM compute on
    with the remainder.
    """,
    advice="Correct the shape or option.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "intermediate-tensor",
    """An intermediate tensor of a node has elements, and the runtime allocates none for it.

    Recurrent nodes name scratch tensors beside their inputs. TFLM fetches them while it prepares the node, so
    that they have to exist and be of a type it knows.
    """,
    advice="Give it a shape without elements, [0], as converters do.",
    source="TFLM micro_allocation_info.cc, run just inside and just outside",
)
