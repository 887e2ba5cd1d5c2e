"""The composite patterns of the ``aie2`` codegen, in order of priority."""

from __future__ import annotations

from typing import Any

from tvm.relax.dpl import is_const, is_op, is_tuple, wildcard

from tvm_aie.relax.view import OpView

MAX_CONCAT = 16


def dequantized(data: Any | None = None) -> Any:
    """``dequantize`` of an activation."""
    return is_op("relax.dequantize")(wildcard() if data is None else data, is_const(), is_const())


def parameter() -> Any:
    """``dequantize`` of a constant."""
    return dequantized(is_const())


def matrix() -> Any:
    """A dequantized constant matrix, possibly transposed."""
    return is_op("relax.permute_dims")(parameter()) | parameter()


def quantized(value: Any) -> Any:
    """``quantize`` by constants."""
    return is_op("relax.quantize")(value, is_const(), is_const())


def activated(value: Any) -> Any:
    """``value``, or relu, clip or leaky relu of it."""
    relu = is_op("relax.nn.relu")(value)
    clip = is_op("relax.clip")(value, wildcard(), wildcard())
    leaky = is_op("relax.nn.leakyrelu")(value)
    return relu | clip | leaky | value


def _with_bias(value: Any) -> Any:
    return is_op("relax.add")(value, parameter()) | value


def _finish(value: Any) -> Any:
    return quantized(activated(value))


def _average() -> Any:
    x = dequantized()
    mean = is_op("relax.nn.avg_pool2d")(x) | is_op("relax.mean")(x) | is_op("relax.nn.adaptive_avg_pool2d")(x)
    return is_op("relax.multiply")(mean, is_const() | parameter()) | mean


def _layout_chain(length: int) -> Any:
    value: Any = wildcard()
    for _ in range(length):
        moves = [is_op(name)(value) for name in ("relax.permute_dims", "relax.squeeze", "relax.expand_dims")]
        slices = [is_op("relax.strided_slice")(value, *(wildcard() for _ in range(n))) for n in (3, 4)]
        reshape: Any = is_op("relax.reshape")(value, wildcard())
        for other in (is_op("relax.flatten")(value), *moves, *slices):
            reshape = reshape | other
        value = reshape
    return value


def pattern_size(view: OpView) -> int:
    """Which variant of a pattern family a view needs: parts of a concat, length of a layout chain."""
    if view.kind == "concat":
        return len(view.inputs)
    return len(view.members) if view.kind in ("layout", "permute") else 0


def patterns() -> list[tuple[str, int, Any]]:
    """``(composite name, size, pattern)``; the name's second part is the kind of the view."""
    fixed: list[tuple[str, Any]] = [
        ("conv2d", _finish(_with_bias(is_op("relax.nn.conv2d")(dequantized(), parameter())))),
        ("dense", _finish(_with_bias(is_op("relax.matmul")(dequantized(), matrix())))),
        ("channel_mul", _finish(is_op("relax.multiply")(dequantized(), parameter()))),
        ("channel_add", _finish(is_op("relax.add")(dequantized(), parameter()))),
        ("add", _finish(is_op("relax.add")(dequantized(), dequantized()))),
        ("max_pool", _finish(is_op("relax.nn.max_pool2d")(dequantized()))),
        ("avg_pool", _finish(_average())),
        ("upsample", _finish(is_op("relax.image.resize2d")(dequantized(), wildcard()))),
        ("activation", quantized(activated(dequantized()))),
        ("requantize", quantized(dequantized())),
    ]
    found = [(f"aie2.{name}", 0, pattern) for name, pattern in fixed]
    for parts in range(1, MAX_CONCAT + 1):
        operands = is_tuple([dequantized() for _ in range(parts)])
        found.append(("aie2.concat", parts, _finish(is_op("relax.concat")(operands))))
    for length in (4, 3, 2, 1):
        found += [(f"aie2.{kind}", length, _layout_chain(length)) for kind in ("permute", "layout")]
    return found
