"""Rules about how nodes and tensors hang together."""

from __future__ import annotations

from tflite_surgeon.rules.registry import page

page(
    "tensor-index",
    """A node, or the subgraph's list of inputs or outputs, names a tensor that does not exist.

    LiteRT marks the graph as inconsistent and refuses to allocate it. TFLM does not compare: the process dies.
    """,
    advice="Find out which tensor was meant: one that nothing else uses, or that fits there alone.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "missing-input",
    """An input that the kernel needs is not given.

    Only some inputs may be left out, such as a bias. For others LiteRT says that the tensor was optional but was
    expected; TFLM finds a null pointer and refuses the node.
    """,
    advice="Give the input; of a bias, zeros of the right type.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "tensor-count",
    """A node has too many or too few inputs or outputs for its kernel.

    Each kernel takes a fixed number of inputs and makes a fixed number of outputs, and compares before it looks
    at anything else.
    """,
    advice="Compare the node with the operator's description.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "in-place",
    """One tensor is input and output of a node.

    LiteRT refuses to allocate a graph in which a builtin operator writes into its own input, since the memory
    plan would be wrong.
    """,
    advice="Give the output a tensor of its own.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "constant-output",
    """A node writes into a tensor that holds constant data.

    A constant lies in the file, which is mapped for reading. Where the kernel wants another shape LiteRT refuses
    to resize it; where the shape fits, the process dies as soon as the node writes.
    """,
    advice="Give the output a tensor without data.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "constant-input",
    """An input of the model holds constant data, and the process dies when the application writes it.

    The bytes of a constant lie in the file, which is mapped for reading. Runtimes let the application write into
    an input without asking where it lies.
    """,
    advice="Take the tensor out of the model's inputs, or give the input a tensor without data.",
    source="LiteRT 2.3 and tflite-runtime 2.14, run just inside and just outside",
)
page(
    "missing-data",
    """A node reads a tensor that nothing computes and that holds no data.

    A tensor that no node computes, that is no input and holds no bytes has no memory. LiteRT says so when the
    node runs; TFLM computes with what lies there.
    """,
    advice="Point the tensor at its bytes, or make it an input of the model.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "operator-order",
    """A node stands before the one that computes its input, or in a cycle.

    Runtimes run nodes in file order and do not sort them. A node that comes too early reads memory that nothing
    has written yet, without a word.
    """,
    advice="Sort the operators into execution order.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "two-producers",
    """Two nodes write one tensor, or a node writes an input of the graph.

    Runtimes do not compare: the last one wins, and nodes between the two read the first result. Usually one of
    the outputs was meant to be another tensor.
    """,
    advice="Give each its own output.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "stored-shape",
    """The stored shape of a computed tensor is not the one that its kernel computes.

    LiteRT computes the shape anew when it prepares the node, so that the stored one only misleads people and
    tools. TFLM believes the stored shape: wrong ones make kernels read and write the wrong elements.
    """,
    advice="Store the computed shape.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "dynamic-shape",
    """A shape is known only when the model runs.

    LiteRT then prepares the nodes behind it while the model runs, which costs time each time; delegates for
    fixed shapes and TFLM cannot take the model.
    """,
    advice="Give the model fixed shapes when converting, if the runtime needs them.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "missing-options",
    """A node has no options of its operator's kind, so that runtimes use zeros or defaults.

    Runtimes fill the options with zeros: a stride of 0, an axis of 0, no activation. Some kernels refuse that,
    others compute something else than was meant.
    """,
    advice="Write the options that were meant.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "subgraph-call",
    """A node calls a subgraph that does not exist or does not fit.

    IF, WHILE, CALL_ONCE and their kin name subgraphs by number and hand tensors over by position. Numbers and
    types have to fit.
    """,
    advice="Convert the model again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "resource-variable",
    """A node uses a resource (variable, hash table) wrongly or before it exists.

    Variables and hash tables are named by handles that an operator makes, and are initialised by a subgraph that
    runs once. A handle of the wrong type, or one read before it is assigned, fails when the model runs.
    """,
    advice="Convert the model again.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
page(
    "memory-arena",
    """The memory that a model needs depends on the application's arena.

    TFLM takes all memory from an arena of fixed size that the application gives it. Whether it is enough depends
    on the application, and on alignment and scratch memory of the kernels it was built with.
    """,
    advice="Measure on the device.",
    source="LiteRT 2.3, tflite-runtime 2.14 and TFLM kernels, run just inside and just outside",
)
