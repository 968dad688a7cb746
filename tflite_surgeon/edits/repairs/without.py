"""Rules whose findings no repair can settle, and what the file lacks for one."""

from __future__ import annotations

# By the name of the rule; shown on its page.
LACKING = {
    "file-structure": "Offsets or lengths that the tables lie by are gone; what they were stands nowhere else in the "
    "file.",
    "custom-operator": "A model names its custom operators; what computes them belongs to the application.",
    "flex-operator": "A model names its TensorFlow operators; what computes them belongs to another library.",
    "constant-input": "The file does not tell whether the values are meant, or those that the caller gives.",
    "dynamic-shape": "Sizes that depend on values are not in the file: they are known when the model runs.",
    "subgraph-call": "The file does not tell which of its subgraphs was meant, or what one that is missing computed.",
    "resource-variable": "What a variable or a table is to hold before it is first read is not in the file.",
    "memory-arena": "How much memory there is belongs to the application.",
    "axis": "The file does not tell which dimension was meant instead of one that there is not.",
    "padding-values": "The file does not tell which paddings were meant.",
    "permutation": "The file does not tell which order of dimensions was meant.",
    "block-size": "The file does not tell whether the size or the block is wrong.",
    "rank-limit": "Fewer dimensions would be another graph: the file does not tell which of them may be joined.",
    "state-variable": "What a state is to hold at first is not in the file, once it counts as a result or a constant.",
    "gates": "Weights of a gate that are not in the file, or not of its shape, are nowhere else in it.",
    "function-domain": "The file does not tell which value was meant instead of one that the function is not defined "
    "for.",
    "intermediate-tensor": "The shape is the kernel's to give; the file does not tell why it has another.",
    "intermediate-quantization": "Scales of what a node computes inside come from calibration alone.",
    "xnnpack-wrong-numbers": "The file is right: run the node without the delegate, or in another form of it.",
    "external-buffer": "The bytes are in another file.",
    "printed-scale": "Of each scale six decimals are left; those of biases bias-scale restores, the others are gone.",
    "concatenated-ranges": "A scale of its own for each part needs another output of the model.",
    "unquantised-island": "The scales that its tensors would have in integers come from calibration alone.",
    "index-bounds": "The file does not tell which element was meant instead of one that there is not.",
    "constant-needed": "Values that the caller gives, or that other nodes compute, are not in the file.",
}
