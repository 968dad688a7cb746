"""Valid int8 models of known size, the same on every run.

    python tests/benchmarks/make_models.py FOLDER [S M L XL D]... [--variant outside|zip|broken]

Each is a chain of 1x1 convolutions with per-channel weights that the interpreter accepts and runs. "outside" puts the
data behind the flatbuffer, "zip" appends an archive of associated files, "broken" doubles the last bias's scales.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import zipfile
from pathlib import Path
from random import Random

import tflite_surgeon as ts
from tflite_surgeon.quantization import float32s

# Name: (operators, channels of each).
SIZES = {"S": (30, 120), "M": (200, 350), "L": (1500, 404), "XL": (1500, 1120), "D": (30_000, 8)}

# What a name stands for that a command has in braces: the end of the file's name.
VARIANTS = {"model": "", "outside": "outside", "zip": "zip", "broken": "broken"}

# Weights of all layers come from here; none is -128.
_WEIGHTS = Random(7).randbytes(1 << 20).replace(b"\x80", b"\x7f")
_ACTIVATION_SCALE = 0.05


def build(operators: int, channels: int, side: int = 1, outside: bool = False) -> ts.Model:
    """A chain of convolutions with random numbers, the same on every run.

    A larger side of the filters makes more weights, and nothing else.
    """
    size = channels * side * side * channels
    types, data = ts.TensorType, memoryview(_WEIGHTS * (size // len(_WEIGHTS) + 2))
    random = Random(operators)
    (unit,) = float32s([_ACTIVATION_SCALE])
    buffers = [ts.Buffer()]
    convolution = ts.OperatorCode(builtin_code=ts.BuiltinOperator.CONV_2D, deprecated_builtin_code=3, version=3)

    def constant(name: str, shape: list[int], type_: int, content: memoryview | bytes, scale: list[float], axis: int):
        buffers.append(ts.Buffer(content, outside=outside))
        quantization = ts.QuantizationParameters(scale=scale, zero_point=[0] * len(scale), quantized_dimension=axis)
        return ts.Tensor(name=name, shape=shape, type=type_, buffer=buffers[-1], quantization=quantization)

    def activation(number: int):
        quantization = ts.QuantizationParameters(scale=[_ACTIVATION_SCALE], zero_point=[-3])
        return ts.Tensor(
            name=f"activation_{number}",
            shape=[1, 1, 1, channels],
            type=types.INT8,
            buffer=buffers[0],
            quantization=quantization,
        )

    tensors, nodes = [activation(0)], []
    for number in range(operators):
        start = (number * 4099) % len(_WEIGHTS)
        scales = float32s([random.uniform(0.001, 0.02) for _ in range(channels)])
        bias_scales = float32s([unit * scale for scale in scales])
        weights = constant(
            f"convolution_{number}/weights",
            [channels, side, side, channels],
            types.INT8,
            data[start : start + size],
            scales,
            0,
        )
        bias = constant(
            f"convolution_{number}/bias",
            [channels],
            types.INT32,
            struct.pack(f"<{channels}i", *random.choices(range(-2000, 2000), k=channels)),
            bias_scales,
            0,
        )
        output = activation(number + 1)
        options = ts.Conv2DOptions(stride_w=1, stride_h=1)
        nodes.append(
            ts.Operator(
                opcode=convolution, inputs=[tensors[-1], weights, bias], outputs=[output], builtin_options=options
            )
        )
        tensors += [weights, bias, output]
    subgraph = ts.SubGraph(tensors=tensors, inputs=[tensors[0]], outputs=[tensors[-1]], operators=nodes, name="main")
    return ts.Model(version=3, operator_codes=[convolution], subgraphs=[subgraph], buffers=buffers, description="chain")


def make(folder: Path, size: str, variant: str = "") -> Path:
    """Write a model, unless it is there already; returns its path."""
    path = folder / f"{size}{'-' if variant else ''}{variant}.tflite"
    if path.exists():
        return path
    unfinished = path.with_suffix(".unfinished")
    if variant in ("zip", "broken"):
        shutil.copyfile(make(folder, size), unfinished)
    else:
        ts.save(build(*SIZES[size], outside=variant == "outside"), unfinished)
    if variant == "zip":
        with zipfile.ZipFile(unfinished, "a") as members:
            members.writestr(zipfile.ZipInfo("labels.txt"), "one\ntwo\n")
    if variant == "broken":
        with ts.load(unfinished) as model:
            scales = model.subgraphs[0].operators[-1].role("bias").quantization
            scales.scale = [2 * scale for scale in scales.scale]
            ts.save(model, unfinished, "splice")
    unfinished.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sizes", nargs="*", default=list(SIZES), choices=list(SIZES), metavar="SIZE")
    parser.add_argument("--variant", default="", choices=list(VARIANTS.values()))
    arguments = parser.parse_args()
    for size in arguments.sizes:
        path = make(arguments.folder, size, arguments.variant)
        print(f"{path} {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
