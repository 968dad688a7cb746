"""Models for pictures and pages: one of many operators, and one whose every name is meant to do harm."""

from __future__ import annotations

import tflite_surgeon as ts
from tests.builders import Net, spread

# What a page, a terminal or a DOT file might obey, hide or choke on.
ODD_NAMES = (
    "<script>window.harmed = 1</script>",
    "</script><img src=x onerror='window.harmed = 1'>",
    '"]; harmed [label="',
    "back\\slash \\N \\G \\",
    "a & b &lt; &#x41; &amp;",
    "line\nbreak\ttab\0nul\x1b[31m\u202ereversed",
    "long" * 800,
    "naïve/日本語/🙂",
    "not UTF-8 \udcff\udc80",
    "{{ braces }} ${dollar} `tick` <!-- <![CDATA[ ]]> -->",
    "",
    " ",
    "%s %d {0}",
    "constructor",
    "__proto__",
)


def large(blocks: int = 110) -> ts.Model:
    """A chain of attention-like blocks, of 14 operators each, with residual sums and a mask that every block reads."""
    net = Net()
    kind, scale, width = "INT8", 0.05, 16
    source = net.tensor("serving_tokens", [1, 8, width], kind, scale, 3)
    mask = net.tensor("serving_mask", [1, 8, 8], kind, scale, 0)
    value = source
    for block in range(blocks):
        value = _block(net, block, value, mask, width, scale)
    flat = net.tensor("encoder/head/flatten", [1, 8 * width], kind, scale, 3)
    shape = net.tensor("encoder/head/shape", [2], "INT32", values=[1, 8 * width])
    net.operator("RESHAPE", 1, [value, shape], [flat], "ReshapeOptions")
    result = net.tensor("StatefulPartitionedCall:0", [1, 8 * width], kind, 1 / 256, -128)
    net.operator("SOFTMAX", 2, [flat], [result], "SoftmaxOptions", beta=1.0)
    return net.model([source, mask], [result])


def _block(net: Net, block: int, value: ts.Tensor, mask: ts.Tensor, width: int, scale: float) -> ts.Tensor:
    scope = f"encoder/layer_{block}"

    def dense(name: str, given: ts.Tensor, seed: int) -> ts.Tensor:
        weights = net.tensor(
            f"{scope}/{name}/kernel", [width, width], "INT8", 0.004, 0, spread([width, width], -127, 127, seed)
        )
        # One layer in a block of ten counts its bias in a unit of its own.
        unit = scale * 0.004 * (13 if block % 10 == 7 and name == "ffn/up" else 1)
        bias = net.tensor(f"{scope}/{name}/bias", [width], "INT32", unit, 0, spread([width], -900, 900, seed + 1))
        made = net.tensor(f"{scope}/{name}/MatMul;{scope}/{name}/BiasAdd", [1, 8, width], "INT8", scale, 3)
        net.operator("FULLY_CONNECTED", 5, [given, weights, bias], [made], "FullyConnectedOptions", keep_num_dims=True)
        return made

    def made(name: str, shape: list[int]) -> ts.Tensor:
        return net.tensor(f"{scope}/{name}", shape, "INT8", scale, 3)

    query, key, content = (dense(f"attention/{name}", value, block * 7 + n) for n, name in enumerate("qkv"))
    scores, masked = made("attention/scores", [1, 8, 8]), made("attention/masked", [1, 8, 8])
    net.operator("BATCH_MATMUL", 1, [query, key], [scores], "BatchMatMulOptions", adj_y=True)
    net.operator("ADD", 2, [scores, mask], [masked], "AddOptions")
    chances = net.tensor(f"{scope}/attention/Softmax", [1, 8, 8], "INT8", 1 / 256, -128)
    net.operator("SOFTMAX", 2, [masked], [chances], "SoftmaxOptions", beta=1.0)
    mixed, summed = made("attention/mixed", [1, 8, width]), made("attention/residual", [1, 8, width])
    net.operator("BATCH_MATMUL", 1, [chances, content], [mixed], "BatchMatMulOptions")
    projected = dense("attention/projection", mixed, block * 7 + 3)
    net.operator("ADD", 2, [projected, value], [summed], "AddOptions")
    up = dense("ffn/up", summed, block * 7 + 4)
    gate = net.tensor(f"{scope}/ffn/gate", [1, 8, width], "INT8", 1 / 256, -128)
    product = made("ffn/product", [1, 8, width])
    net.operator("LOGISTIC", 2, [up], [gate])
    net.operator("MUL", 2, [up, gate], [product], "MulOptions")
    down, result = dense("ffn/down", product, block * 7 + 5), made("ffn/residual", [1, 8, width])
    net.operator("ADD", 2, [down, summed], [result], "AddOptions")
    return result


def odd() -> ts.Model:
    """A chain of layers whose tensors carry ODD_NAMES, with a finding on the first."""
    net = Net()
    value = first = net.tensor(ODD_NAMES[0], [1, 4], "INT8", 0.05, 3)
    for number, name in enumerate(ODD_NAMES[1:]):
        made = net.tensor(name, [1, 4], "INT8", 0.05, 3)
        weights = net.tensor(f"{name}/kernel", [4, 4], "INT8", 0.004, 0, spread([4, 4], -127, 127, number + 1))
        bias = net.tensor(f"{name}/bias", [4], "INT32", 0.0002 * (1 if number else 13), 0, [100, -900, 300, 20])
        net.operator("FULLY_CONNECTED", 4, [value, weights, bias], [made], "FullyConnectedOptions")
        value = made
    model = net.model([first], [value])
    model.description = ODD_NAMES[1]
    model.subgraphs[0].name = ODD_NAMES[2]
    return model
