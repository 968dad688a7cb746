"""Rules about the file as a whole: what a loader looks at before any node."""

from __future__ import annotations

from tflite_surgeon.rules.registry import page

page(
    "file-structure",
    """The file is no sound flatbuffer.

    LiteRT verifies every offset, table and string before it looks at the model, and refuses the file as a whole.
    tflite-runtime 2.14 and TFLM follow the offsets wherever they lead: a cut or overwritten file may load, be
    refused for an unrelated reason, or kill the process.
    """,
    advice="Copy the file again from where it is whole, or convert the model again; a cut file cannot be completed.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "file-identifier",
    """Bytes 4 to 8 of the file do not name the TFLite format.

    LiteRT says that the model is no valid flatbuffer, tflite-runtime 2.14 names the identifier it found, TFLM
    does not look. The file may be a model with a damaged header, or another kind of file.
    """,
    advice="If the file is a TFLite model with a damaged header, write TFL3 there; else convert it.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "schema-version",
    """The model says another schema version than runtimes support.

    LiteRT and tflite-runtime take version 3 only. TFLM's interpreter does not look, though many programs compare
    the version themselves before they use the model.
    """,
    advice="Set the version to 3 if the model was written by a TFLite converter.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "missing-vector",
    """A part that every model has is not in the file: subgraphs, buffers or tensors.

    Runtimes read these vectors without asking whether they are there, or refuse the file at once. A converter
    always writes them; a tool that edits or strips models may not.
    """,
    advice="Convert the model again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "sentinel-buffer",
    """Buffer 0 holds data, though by convention it is the empty buffer of all computed tensors.

    LiteRT warns at most. TFLM takes every tensor whose buffer has bytes for a constant, so that activations that
    name buffer 0 are read from the file instead of being computed.
    """,
    advice="Put an empty buffer first and point the constant that needs these bytes at its own.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "operator-code-index",
    """A node names an operator code that the model does not list.

    Every node names an entry of the model's list of operator codes. One that is not there leaves the node
    without a kernel, and the interpreter is not made.
    """,
    advice="Find out what the node was meant to be: its options and tensors tell more than the number.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "unknown-operator",
    """An operator code is a number that the runtime has no operator for.

    The number is larger than that of the newest operator the runtime knows. The file was written for a newer
    runtime, or the number is damaged.
    """,
    advice="Use a newer runtime, or convert for the one you have.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "operator-version",
    """An operator is marked with a version that the runtime has no kernel for.

    Versions stand for features: a kernel registers the range that it has. LiteRT compares the version of every
    operator code, used or not, and refuses the model if one is outside; TFLM does not look. A version that is
    too high by mistake stops a model that would run.
    """,
    advice="Give the operator the lowest version whose features it uses, or use a newer runtime.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "operator-availability",
    """A runtime has no kernel for the operator at all.

    LiteRT and tflite-runtime register their builtin operators together; some exist in the schema without a
    kernel. TFLM has kernels for about half of them, and an application registers only those it names.
    """,
    advice="Replace the operator in the source model, or use a runtime that has it.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "custom-operator",
    """A custom operator has to be registered by the application.

    A custom operator is known by name only. The interpreter loads the model where the application registered
    that name; the verdict here is for the runtime as its package comes, with nothing registered.
    """,
    advice="Register the operator with the interpreter, or replace it in the source model.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "flex-operator",
    """A TensorFlow operator runs only with the Flex delegate.

    Its name begins with Flex: it is a TensorFlow operator that the converter left in the model. Only a runtime
    with the Flex delegate linked can run it; on a microcontroller nothing can.
    """,
    advice="Link the Flex delegate, or convert without Select TensorFlow ops.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "custom-options",
    """Options of a custom operator lie outside the file, or stand beside a builtin operator.

    Options too large for the flatbuffer are found by offset and size, which must lie in the file. Custom options
    on a builtin operator are passed over with a warning.
    """,
    advice="Convert the model again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "buffer-index",
    """A tensor names a buffer that the model does not list.

    LiteRT refuses the model. TFLM does not compare the number and reads whatever stands there as a buffer.
    """,
    advice="The bytes are not in the file: convert the model again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "buffer-offset",
    """Bytes of a constant lie outside the flatbuffer, where this runtime does not find them.

    Models above 2 GB keep constants behind the flatbuffer and name them by offset and size. LiteRT refuses
    offsets outside the file; TFLM never reads such bytes and takes the tensor for a computed one.
    """,
    advice="Write the model anew with all bytes inside, or restore the cut file.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "constant-size",
    """A constant has fewer bytes than its shape and type need, or more.

    LiteRT 2 wants at least as many bytes as shape and type need, tflite-runtime 2.14 exactly as many. TFLM does
    not compare: a kernel reads beside the constant.
    """,
    advice="Correct the shape or the type; missing bytes are in no place to be found.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "tensor-type",
    """A tensor is of a type that the runtime does not know.

    Types were added over the years: tflite-runtime 2.14 lacks BFLOAT16, INT2 and 8-bit floats, TFLM lacks more.
    The model does not load there, whatever the tensor is used for.
    """,
    advice="Use a newer runtime, or convert to types that it has.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "tensor-shape",
    """A tensor's shape is no shape: a negative dimension, or more elements than memory has addresses.

    LiteRT multiplies the dimensions when the interpreter is made and refuses what does not fit. TFLM computes
    with the nonsense. A dimension of -1 belongs in the shape signature, with 1 in the shape.
    """,
    advice="Correct the shape.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "variable-with-data",
    """A variable tensor has constant data as well, or a type that cannot vary.

    A variable keeps a state between runs and starts as zeros; LiteRT refuses one that has bytes in the file, and
    string variables.
    """,
    advice="Remove the mark or the data.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "sparsity",
    """The description of a sparse constant is incomplete or of an unknown form.

    A sparse constant is described by the order of its dimensions and, for each, a format with its index vectors.
    Where one is missing or unknown, LiteRT refuses the model.
    """,
    advice="Convert the model again, dense.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "signature",
    """A signature has no name, or names tensors or a subgraph that do not exist.

    LiteRT wants a name for each signature. It does not compare the numbers in it: a signature runner made later
    reads beside the lists.
    """,
    advice="Correct or remove the signature.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
