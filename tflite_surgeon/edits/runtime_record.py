"""What a model records of the oldest runtime that it needs, kept true where versions of operators change."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.knowledge.oldest_runtimes import RECORD, RECORD_SIZE, oldest_runtime
from tflite_surgeon.model.objects import Buffer, OperatorCode


def record_oldest_runtime(draft: Draft) -> str | None:
    """Write the oldest release that has all operators into the model's record of it.

    Returns:
        The release; None where the model keeps no record, or it says so already, or it is not known.
    """
    model = draft.model
    opcodes = [node.operator.opcode for node in model.nodes()]
    needed = oldest_runtime({(code.name, code.version) for code in opcodes if isinstance(code, OperatorCode)})
    entry = next((item for item in model.metadata or () if item.name == RECORD), None)
    if needed is None or entry is None or not isinstance(entry.buffer, Buffer):
        return None
    data = entry.buffer.data
    # A record that says nothing may be what it was made for: the converter fills it later.
    if not data or len(data) > 4 * RECORD_SIZE or bytes(data).partition(b"\0")[0] in (b"", needed.encode()):
        return None
    content = needed.encode().ljust(max(len(data), RECORD_SIZE), b"\0")
    if len(draft.holders(entry.buffer)) == 1 and not draft.is_first(entry.buffer):
        draft.set(entry.buffer, "data", content)
    else:
        draft.set(entry, "buffer", draft.new_buffer(content))
    return needed
