"""Rules about nodes that LiteRT hands to XNNPACK: there is no way back to the kernel once a node is taken."""

from __future__ import annotations

from tflite_surgeon.rules.registry import page

page(
    "xnnpack-scale",
    """XNNPACK takes the node and then rejects a scale that is not positive, finite and normal.

    XNNPACK wants every scale positive, finite and not subnormal, of constants and activations alike. LiteRT's
    own kernels accept more: without the delegate the model may load.
    """,
    advice="Correct the scale.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-zero-point",
    """XNNPACK takes the node and then rejects a zero point.

    XNNPACK wants the zero point inside the type's range, and 0 for weights with several scales. LiteRT's own
    kernels mostly do not look.
    """,
    advice="Correct the zero point; of weights by channel it must be 0.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-quantization",
    """XNNPACK takes the node and then rejects how a tensor is quantised.

    XNNPACK knows one scale, or one for each channel of certain weights. The delegate decides by type and shape
    that it takes a node and learns of the rest too late.
    """,
    advice="Quantise it as the operator's specification says.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-definition",
    """XNNPACK takes the node and then rejects its types, or scales that should be equal.

    The delegate takes nodes by their inputs. XNNPACK compares all types, and for operators that copy integers
    the scales and zero points too, when the node is defined. What LiteRT's own kernel would have accepted stops
    the whole model.
    """,
    advice="Make types and scales equal where the operator copies.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-requantization",
    """XNNPACK takes the node and then cannot make its kernel: input scale x weights scale / output scale is 256 or
    more, or types differ.

    The factor that brings products to the output's scale must be below 256 in XNNPACK; LiteRT's own kernels have
    no such bound. Another cause is an output of another type than the input.
    """,
    advice="Enlarge the output's scale, or run without the delegate.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-shape",
    """XNNPACK takes the node and then finds that shapes do not fit.

    Shapes are compared when tensors are allocated, with the text that the runtime failed to be reshaped, which
    names no node.
    """,
    advice="Correct the shape that is wrong.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-output",
    """XNNPACK takes a node that writes into a constant.

    A node that the delegate took writes into a tensor that holds constant data; XNNPACK has no place to put
    the result, and tensors are not allocated.
    """,
    advice="Give the output a tensor without data.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-crash",
    """The process dies when the delegate looks at the node.

    The delegate judges nodes before their kernels have looked at them, and reads what should be there: an input
    that is left out, a table that is empty. The process dies, though the model might run without the delegate.
    """,
    advice="Correct the node, or run without the delegate.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "xnnpack-wrong-numbers",
    """XNNPACK takes the node and computes something else than the kernel, without a word.

    A few forms of a node mean one thing to the kernels and another to the delegate: an end of 0 in
    STRIDED_SLICE, a bias of more than six dimensions, values of one type read as another, 8-bit values that are
    no constant beside float32.
    """,
    advice="Write the node in a form that both read alike, or run without the delegate.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
