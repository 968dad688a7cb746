"""Texts that people meet beside the runtimes' kernels: of converters, other delegates, application libraries.

A topic is what a text means where no rule of ours looks for its cause, or where the text alone does not tell the rule.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Topic(NamedTuple):
    """What a text means.

    Attributes:
        name: in a word or two.
        who: raises it.
        texts: as they are printed; {} stands for anything that varies. Upper and lower case do not matter.
        meaning: what is the matter, in a sentence or two.
        advice: what to do.
        rules: names of the rules that look for its cause.
    """

    name: str
    who: str
    texts: tuple[str, ...]
    meaning: str
    advice: str
    rules: tuple[str, ...] = ()

    def matches(self, text: str) -> bool:
        """Whether one of the texts is in what somebody pasted."""
        return any(_pattern(known).search(text) for known in self.texts)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, text.split("{}"))), re.IGNORECASE | re.DOTALL)


_CHECK = "Run tflite-surgeon check MODEL"

TOPICS: tuple[Topic, ...] = (
    Topic(
        "bias scale, other checkers",
        "TFLite's converter and its forks, older runtimes, vendor compilers",
        (
            "std::abs(input_product_scale - bias_scale) <= 1e-6",
            "quantization scale for bias tensor (the product of the input and weight scales)",
            "input_scale[{}] * weight_scale[{}] != bias_scale[{}]",
        ),
        "The bias scale is not input scale x weights scale, within what this checker tolerates. Kernels add the bias "
        "integers in that unit, whatever scale is stored.",
        f"{_CHECK}, then tflite-surgeon fix-bias-scale MODEL.",
        ("bias-scale",),
    ),
    Topic(
        "overall scale",
        "Arm and vendor compilers, older XNNPACK and NNAPI",
        (
            "Overall scale (of the input* weights/ output) should be in range",
            "input_product_scale < output_scale",
            "real_multiplier < 1.0 was not true",
        ),
        "Input scale x weights scale / output scale is outside what the implementation can rescale by: one of the "
        "three scales is far off, often the output's.",
        f"{_CHECK} and look at the scales of the node that it names.",
        ("xnnpack-requantization", "scale-value"),
    ),
    Topic(
        "node failed",
        "LiteRT, tflite-runtime and TFLM, behind the text that says why",
        (
            "Node number {} failed to prepare",
            "Node number {} failed to invoke",
            "failed to prepare with status",
            "failed to invoke with status",
        ),
        "This line only names the node. The text before it is the reason; TFLM prints it on a line of its own.",
        f"{_CHECK}: it says of this node what each runtime will reject.",
    ),
    Topic(
        "bias is no vector",
        "converters and compilers",
        ("Expected bias tensor to be a vector",),
        "The bias has more than one dimension, or none.",
        f"{_CHECK}.",
        ("bias-length",),
    ),
    Topic(
        "lacking min/max data",
        "TOCO, TensorFlow's older converter",
        ("is lacking min/max data, which is necessary for quantization",),
        "The converter was asked for integers and this activation has no recorded range.",
        "Train with quantisation in mind or give calibration data (a representative dataset) that reaches this "
        "tensor; of a finished file, tflite-surgeon check names activations without a scale.",
        ("unquantised-activation",),
    ),
    Topic(
        "buffer sizes differ",
        "the Java, Kotlin, Swift and Objective-C APIs",
        (
            "Cannot convert between a TensorFlowLite buffer with {} bytes and a",
            "Cannot copy to a TensorFlowLite tensor {} with {} bytes from a Java Buffer with {} bytes",
            "Cannot copy from a TensorFlowLite tensor {} with {} bytes to a Java Buffer with {} bytes",
            "-th input should have {} bytes, but found {} bytes",
            "Provided data count {} must match the required count",
            "expects data size ({}), but got ({})",
        ),
        "The buffer handed over has another number of bytes than the tensor.",
        "Allocate batch x height x width x channels x bytes of one value: 4 for FLOAT32 and INT32, 1 for UINT8 and "
        "INT8. Weights that were quantised after training leave input and output FLOAT32. tflite-surgeon io MODEL says "
        "what each input and output takes.",
    ),
    Topic(
        "shapes differ",
        "the Java and Kotlin API, Python",
        (
            "Cannot copy between a TensorFlowLite tensor with shape",
            "Cannot set tensor: Dimension mismatch",
        ),
        "The array handed over has another shape than the tensor.",
        "Give the array the tensor's shape, with its leading 1 for the batch; or resize the input first.",
    ),
    Topic(
        "types differ",
        "Python's set_tensor, the C++ signature runner",
        ("Cannot set tensor: Got value of type {} but expected type", "Got tensor of type {} but expected type"),
        "The array handed over is of another type than the tensor; numbers are TfLiteType (1 FLOAT32, 2 INT32, "
        "3 UINT8, 4 INT64, 9 INT8).",
        "Convert the array; for an integer input quantise it: integer = real / scale + zero point.",
    ),
    Topic(
        "not allocated",
        "Python",
        ("Tensor data is null. Run allocate_tensors() first",),
        "A tensor was read before memory was given to it, or it has none: an intermediate one that the delegate took "
        "in, a tensor that nothing computes.",
        f"Call allocate_tensors() and invoke() first; if it is a model's input or output, {_CHECK.lower()}.",
        ("missing-data",),
    ),
    Topic(
        "version too new",
        "older runtimes, delegates and vendor compilers",
        ("Max version supported: {}. Requested version", "OP Version different from"),
        "The operator is marked with a newer version than the implementation knows. Versions stand for features; the "
        "node may not use the newest.",
        f"{_CHECK} --target RUNTIME; use a newer runtime, or give the operator the lowest version whose features it "
        "uses.",
        ("operator-version",),
    ),
    Topic(
        "custom operator, elsewhere",
        "older runtimes",
        ("Didn't find custom op for name",),
        "The application did not register this custom operator with the interpreter.",
        "Register it, or replace it in the source model.",
        ("custom-operator",),
    ),
    Topic(
        "Flex, elsewhere",
        "older runtimes",
        ("Regular TensorFlow ops are not supported by this interpreter",),
        "The model holds TensorFlow operators that run only with the Flex delegate.",
        "Link the Flex delegate (on Android the library org.tensorflow:tensorflow-lite-select-tf-ops), or convert "
        "without Select TensorFlow ops.",
        ("flex-operator",),
    ),
    Topic(
        "GPU delegate",
        "the GPU delegate",
        (
            "Following operations are not supported by GPU delegate",
            "OP is supported, but tensor type isn't matched!",
            "OP is supported, but tensor type/shape doesn't supported",
        ),
        "The named operators stay on the processor. That is no error of the file; each change between processor and "
        "GPU costs time.",
        "Replace the operators in the source model, or run without the GPU delegate.",
    ),
    Topic(
        "NNAPI",
        "the NNAPI delegate and its drivers",
        (
            "refused by NNAPI delegate",
            "NN API supports int8 type since version 1.2 but only for symmetric quantization",
            "Invalid input tensor type TENSOR_QUANT8_SYMM_PER_CHANNEL",
        ),
        "The driver does not take these types: weights with one scale for each channel need API level 29, INT8 "
        "activations level 30.",
        "Run without NNAPI, or quantise with one scale for each tensor.",
    ),
    Topic(
        "XNNPACK could not be applied",
        "tflite-runtime and other programs that apply the delegate themselves",
        ("Failed to apply XNNPACK delegate", "Failed to apply the default TensorFlow Lite delegate"),
        "A node that XNNPACK took failed in it; the text before says which.",
        f"{_CHECK} --target litert.",
        ("xnnpack-scale", "xnnpack-zero-point", "xnnpack-definition"),
    ),
    Topic(
        "delegate needs fixed shapes",
        "delegates for fixed shapes",
        (
            "Attempting to use a delegate that only supports static-sized tensors",
            "Input(s) and Output tensors must not be dynamic",
            "is not supported on the NPU. Placing on CPU instead",
        ),
        "A shape is known only when the model runs, and this delegate or compiler needs it before.",
        f"{_CHECK}: the rule dynamic-shape names the operator that makes it so. Convert with fixed input shapes.",
        ("dynamic-shape",),
    ),
    Topic(
        "Edge TPU compiler",
        "the Edge TPU compiler",
        (
            "Operation is working on an unsupported data type",
            "More than one subgraph is not supported",
            "Operation is otherwise supported, but not mapped due to some unspecified limitation",
            "Model failed in Tflite interpreter",
        ),
        "The compiler maps only operators whose inputs, weights and outputs are all 8-bit integers with fixed shapes. "
        "All operators on an unsupported type means that activations are floats: only the weights were quantised.",
        f"Quantise the model fully with calibration data; {_CHECK} --target tflite-2.14 first, since the compiler "
        "begins by loading the model.",
        ("hybrid-model", "unquantised-island"),
    ),
    Topic(
        "one subgraph",
        "older TFLM",
        ("Only 1 subgraph is currently supported",),
        "The model has several subgraphs: control flow, or several signatures.",
        "Use a newer TFLM, or export one signature.",
    ),
    Topic(
        "metadata: normalisation",
        "the Task library and ML Kit",
        ("it requires specifying NormalizationOptions metadata to preprocess input images",),
        "The input is FLOAT32 and the model's metadata do not say by which mean and deviation images are normalised.",
        "Add metadata with NormalizationOptions (the metadata writers of the support library).",
    ),
    Topic(
        "metadata: files",
        "the support library",
        (
            "This model does not contain associated files, and is not a Zip file",
            "Label number {} mismatch the shape on axis",
        ),
        "Label files are appended to a model as a zip; this one has none, or not the right number of lines.",
        "Add the label file with the metadata writers.",
    ),
    Topic(
        "Task library: shapes",
        "the Task library and ML Kit",
        (
            "Unexpected number of dimensions for output index",
            "The input tensor should have dimensions 1 x height x width x 3",
            "Mobile SSD models are expected to have exactly 4 outputs",
            "Models are expected to have exactly four outputs",
        ),
        "The library expects the inputs and outputs of its own kind of model: one image of three channels; for "
        "detection boxes, classes, scores and count.",
        "Convert the model with the post-processing operator, or use the interpreter directly.",
    ),
    Topic(
        "delegate or interpreter not made",
        "the Java and Kotlin API",
        ("Error applying delegate", "Failed to apply delegate", "Cannot create interpreter"),
        "The reason stands in the log before this line.",
        f"{_CHECK}; without a finding the delegate, not the file, is at fault.",
    ),
    Topic(
        "not a model",
        "the Java and Kotlin API, the C API",
        (
            "ByteBuffer is not a valid flatbuffer model",
            "ByteBuffer is not a valid TensorFlow Lite model flatbuffer",
            "The model is not a valid Flatbuffer file",
            "is not a valid TFLite model",
        ),
        "The bytes are no sound model: cut short, compressed in the app's package, a Git LFS pointer, another format.",
        f"{_CHECK}: it says what the file is. On Android keep .tflite uncompressed (noCompress).",
        ("file-structure", "file-identifier"),
    ),
    Topic(
        "larger than 2 GB",
        "flatbuffers, converters",
        ("cannot grow buffer beyond 2 gigabytes", "Model size is bigger than 2gb"),
        "A flatbuffer counts its bytes with 31 bits. Larger models keep constants behind it.",
        "tflite-surgeon reads and writes such files; give converters the option for large buffers.",
        ("buffer-offset",),
    ),
    Topic(
        "crash",
        "the operating system",
        ("SIGABRT", "SIGSEGV", "SIGFPE", "Segmentation fault", "core dumped", "Fatal signal"),
        "The process died: a kernel divided by zero, read beside an array, or gave up on a scale that it cannot "
        "represent. None of them prints what for.",
        f"{_CHECK}: it names the nodes that kill a runtime, and why.",
        ("multiplier-range", "comparison-scale", "tensor-index"),
    ),
    Topic(
        "no signature",
        "Python's signature runner",
        ("Only support at least one signature key", "Invalid signature_key"),
        "The model has no signature, or none of that name.",
        "Use inputs and outputs by number, or make a signature: tflite-surgeon fix --select missing-signature MODEL.",
        ("missing-signature",),
    ),
)
