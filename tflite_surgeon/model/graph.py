"""Questions about a model that is only read: where its parts stand, and who uses them."""

from __future__ import annotations

from collections import Counter

from tflite_surgeon.model.objects import Buffer, Model, Tensor


class Whereabouts:
    """The answers for a model that does not change meanwhile, by identity; counted once for many questions."""

    def __init__(self, model: Model) -> None:
        subgraphs = model.subgraphs or []
        self._readings = Counter(id(item) for node in model.nodes() for item in node.operator.inputs or ())
        self._interface = {
            id(item) for subgraph in subgraphs for item in (*(subgraph.inputs or ()), *(subgraph.outputs or ()))
        } | {
            id(entry.tensor)
            for signature in model.signature_defs or ()
            for entry in (*(signature.inputs or ()), *(signature.outputs or ()))
        }
        self._tensors = {
            id(tensor): f"subgraphs[{number}].tensors[{index}]"
            for number, subgraph in enumerate(subgraphs)
            for index, tensor in enumerate(subgraph.tensors or ())
        }
        self._buffers = {id(buffer): f"buffers[{index}]" for index, buffer in enumerate(model.buffers or ())}
        self._holders = Counter(id(tensor.buffer) for subgraph in subgraphs for tensor in subgraph.tensors or ())
        self._holders.update(id(metadata.buffer) for metadata in model.metadata or ())
        self._holders.update(id(buffer) for buffer in model.metadata_buffers or ())

    def readings(self, tensor: Tensor) -> int:
        """How many inputs of operators the tensor is."""
        return self._readings[id(tensor)]

    def is_interface(self, tensor: Tensor) -> bool:
        """Whether it is an input or output of a subgraph or of a signature."""
        return id(tensor) in self._interface

    def holders(self, buffer: Buffer) -> int:
        """How many tensors and metadata entries hold the buffer."""
        return self._holders[id(buffer)]

    def of_tensor(self, tensor: Tensor) -> str:
        """Its path, such as subgraphs[0].tensors[3]."""
        return self._tensors[id(tensor)]

    def of_buffer(self, buffer: Buffer) -> str:
        """Its path, such as buffers[4]."""
        return self._buffers[id(buffer)]
