"""TFLM's custom kernels for object detection and for streams.

Source: tflite-micro kernels/detection_postprocess.cc, circular_buffer_common.cc; the Python wheel.
"""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_COUNT, NO_INPUT, OUTPUT_COUNT
from tflite_surgeon.knowledge.micro.fetching import checked, has_all, output
from tflite_surgeon.knowledge.problems import Said, Stage

_NAMES = ("input_box_encodings", "input_class_predictions", "input_anchors")
_RANKS = tuple(Said("tensor-rank", "detection_postprocess.cc", f"NumDimensions({name}) != ") for name in _NAMES)
_BATCH = Said("dimension-match", "detection_postprocess.cc", "input_box_encodings->dims->data[0] != ")
_CORNERS = Said(
    "dimension-match", "detection_postprocess.cc", "input_box_encodings->dims->data[2] >= kNumCoordBox was not true"
)
_SCORES = Said("dimension-match", "detection_postprocess.cc", "input_class_predictions->dims->data[{}] != ")
_CIRCLE_TYPE = Said("same-type", "circular_buffer_common.cc", "input->type != output->type")
_CIRCLE_INT8 = Said("operator-types", "circular_buffer_common.cc", "input->type != kTfLiteInt8")
_CIRCLE_SHAPE = Said("dimension-match", "circular_buffer_common.cc", "input->dims->data[{}] != ")
_CIRCLE_INPUTS = Said("tensor-count", "circular_buffer_common.cc", "node->inputs->size == 1 was not true")
_CIRCLE_OUTPUTS = Said("tensor-count", "circular_buffer_common.cc", "node->outputs->size == 1 {} was not true")
# Met with other lengths, or only with the values of inputs.
_ALSO = (
    Said("dimension-match", "circular_buffer_common.cc", "1 != input->dims->data["),
    Said("dimension-match", "circular_buffer_common.cc", "output->dims->data[{}] != "),
    Said("function-domain", "detection_postprocess.cc", "ValidateBoxes(decoded_boxes, num_boxes) was not true"),
    Said("option-value", "detection_postprocess.cc", "(intersection_over_union_threshold > 0.0f) {} was not true"),
    Said("option-value", "detection_postprocess.cc", "(num_classes_with_background {} was not true"),
    Said("option-value", "detection_postprocess.cc", "(max_categories_per_anchor > 0) was not true"),
)


@micro_kernel("CUSTOM TFLite_Detection_PostProcess")
def _detection(node: KernelNode) -> None:
    if node.operator.custom_options is None:
        node.doubt("missing-options", "the node has no options: the kernel reads what lies there in memory")
    if len(node.inputs) != 3:
        node.refuse(INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 3")
        return
    if not has_all(node, 0, 1, 2):
        return
    boxes, scores, anchors = node.inputs
    if boxes is None or scores is None or anchors is None:
        return
    for said, operand, rank in zip(_RANKS, (boxes, scores, anchors), (3, 3, 2)):
        if operand.rank != rank:
            node.refuse(said, f"an input has {operand.rank} dimensions, the kernel takes {rank}", operand)
            return
    if len(node.outputs) != 4:
        node.refuse(OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 4")
        return
    if boxes.dim(0) != 1:
        node.refuse(_BATCH, f"the boxes are of {boxes.dim(0)} images, the kernel takes 1", boxes, at=Stage.INVOKE)
    elif (boxes.dim(2) or 0) < 4:
        node.refuse(_CORNERS, f"a box has {boxes.dim(2)} numbers, the kernel takes 4", boxes, at=Stage.INVOKE)
    elif anchors.type != "FLOAT32":
        message = f"the anchors are {anchors.type}, the kernel reads their bytes as FLOAT32 and may refuse the boxes"
        node.doubt("operator-types", message, anchors, at=Stage.INVOKE)
    elif boxes.type != "FLOAT32" and boxes.dim(1):
        node.refuse_silently(
            "operator-types", f"the boxes are {boxes.type}, the kernel takes FLOAT32", boxes, at=Stage.INVOKE
        )
    elif scores.dim(0) != 1 or scores.dim(1) != boxes.dim(1):
        node.refuse(_SCORES, f"there are scores for {scores.shape} and boxes of {boxes.shape}", scores, at=Stage.INVOKE)
    elif scores.type != "FLOAT32":
        node.refuse_silently(
            "operator-types", f"the scores are {scores.type}, the kernel takes FLOAT32", scores, at=Stage.INVOKE
        )


@micro_kernel("CUSTOM CIRCULAR_BUFFER")
def _circular_buffer(node: KernelNode) -> None:
    if len(node.inputs) != 1:
        node.refuse(_CIRCLE_INPUTS, f"there are {len(node.inputs)} inputs, the kernel takes 1")
        return
    if len(node.outputs) not in (1, 2):
        node.refuse(_CIRCLE_OUTPUTS, f"there are {len(node.outputs)} outputs, the kernel makes 1 or 2")
        return
    source = checked(node, 0, NO_INPUT)
    result = output(node)
    if source is None or result is None:
        return
    first, second = source.shape or [], result.shape or []
    if len(first) != 4 or len(second) != 4:
        message = f"the kernel compares 4 dimensions of {first} and {second} and reads past them"
        node.doubt("tensor-rank", message, source)
    elif first[1] != 1 or first[2:] != second[2:] or first[0] != second[0]:
        node.refuse(_CIRCLE_SHAPE, f"the input {first} is no row of the output {second}", result)
    if source.type != result.type:
        node.refuse(_CIRCLE_TYPE, f"the input is {source.type} and the output {result.type}", result)
    elif source.type != "INT8":
        node.refuse(_CIRCLE_INT8, f"the input is {source.type}, the kernel takes INT8", source)
