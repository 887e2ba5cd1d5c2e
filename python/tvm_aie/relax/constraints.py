"""The offload rules. A rule is a predicate; its docstring is the message and its row in docs/supported-ops.md.

A rule returns ``(ok, detail)``; the reason printed for an operator on the host is "docstring (detail)".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tvm_aie.relax.average import divisor_counts, rationals, tap_counts
from tvm_aie.relax.integer import INT32_MAX, accumulator_peak, conv_terms, exponent
from tvm_aie.relax.view import OpView, Quant

Verdict = tuple[bool, str]
Rule = Callable[[OpView], Verdict]

MAX_ALIGN_SHIFT = 20
MAX_DIVISORS = 48  # of a pool, three words each: its opcodes, inside a convolution's too, fit the 1 KB of a core


def _quants(view: OpView) -> list[Quant]:
    found = [s.quant for s in view.inputs] + [view.output]
    found += [w.quant for w in (view.weight, view.bias) if w is not None]
    return [q for q in found if q is not None]


def supported_kind(view: OpView) -> Verdict:
    """The array has a kernel for the operator."""
    return view.kind in RULES, f"no kernel for {view.operator.removeprefix('relax.')}"


def inputs_quantised(view: OpView) -> Verdict:
    """Every data input is the DequantizeLinear of an activation."""
    for position, source in enumerate(view.inputs):
        if source.var is None:
            return False, f"input {position} is float; quantise the model: tvm-aie quantize"
        if source.quant is None:
            return False, f"input {position} has a scale that is not a constant"
    return bool(view.inputs), "no data input"


def output_quantised(view: OpView) -> Verdict:
    """The result goes, through at most a bias and an activation, into one QuantizeLinear."""
    return view.output is not None, "the float result is used elsewhere; quantise the model: tvm-aie quantize"


def weights_quantised(view: OpView) -> Verdict:
    """Weights and bias are constants behind a DequantizeLinear."""
    if view.weight is None:
        return False, "the second operand is not a constant"
    for name, part in (("weight", view.weight), ("bias", view.bias)):
        if part is not None and part.quant is None:
            return False, f"{name} is float; quantise the model: tvm-aie quantize"
    return True, ""


def per_tensor_scales(view: OpView) -> Verdict:
    """Scales are per tensor."""
    worst = max((len(q.scales) for q in _quants(view)), default=1)
    return worst == 1, f"{worst} scales per channel; requantise per tensor: tvm-aie quantize"


def power_of_two_scales(view: OpView) -> Verdict:
    """Scales are powers of two."""
    for quant in _quants(view):
        if len(quant.scales) == 1 and quant.exponent is None:
            return False, f"scale {quant.scales[0]:g}; requantise with power-of-two scales: tvm-aie quantize"
    return True, ""


def activation_zero_points(view: OpView) -> Verdict:
    """Activations are uint8 with zero point 128 or int8 with zero point 0; in conv2d and dense also int16."""
    taken = [("uint8", {128}), ("int8", {0})] + [("int16", {0})] * (view.kind in ("conv2d", "dense"))
    for quant in [s.quant for s in view.inputs] + [view.output]:
        if quant is not None and (quant.dtype, set(quant.zero_points)) not in taken:
            return False, f"{quant.dtype} with zero point {quant.zero_points[0]}; requantise: tvm-aie quantize"
    return True, ""


def weight_types(view: OpView) -> Verdict:
    """Weights are int8 and the bias int8 or int32, with zero point 0."""
    assert view.weight is not None
    wide = ("int8", "int32") if view.kind == "channel_add" else ("int8",)
    parts = (("weight", view.weight, wide), ("bias", view.bias, ("int8", "int32")))
    for name, part, types in parts:
        if part is None or part.quant is None:
            continue
        if part.quant.dtype not in types:
            return False, f"{name} is {part.quant.dtype}"
        if any(part.quant.zero_points):
            return False, f"{name} has zero point {part.quant.zero_points[0]}"
    return True, ""


def image_shapes(view: OpView) -> Verdict:
    """Tensors are (N, C, H, W) or (N, C)."""
    for shape in [s.shape for s in view.inputs] + [view.out_shape]:
        if len(shape) not in (2, 4):
            return False, f"shape {shape}"
    return True, ""


def one_batch(view: OpView) -> Verdict:
    """The operator keeps images of a batch apart."""
    batches = {s.shape[0] for s in view.inputs if s.shape} | {view.out_shape[0]}
    return len(batches) == 1, f"leading dimensions {sorted(batches)}"


def accumulator_fits(view: OpView) -> Verdict:
    """The sum of products fits 32 bits, and so does the bias at the accumulator's scale."""
    peak, bias = accumulator_peak(view)
    return max(peak, bias) <= INT32_MAX, f"sum up to {peak}, bias up to {bias}"


def shifts_in_range(view: OpView) -> Verdict:
    """Scales of operands, bias and result differ by at most 2^20 in the direction that shifts left."""
    if view.kind in ("add", "concat"):
        exponents = [exponent(s.quant) for s in view.inputs]
        spread = max(exponents) - min(exponents)
        down = exponent(view.output) - min(exponents)
    elif view.weight is not None:
        terms = conv_terms(view)
        spread, down = terms.acc_shift, terms.shift
    else:
        spread, down = 0, exponent(view.output) - exponent(view.inputs[0].quant)
    worst = max(spread, -down)
    return worst <= MAX_ALIGN_SHIFT and down <= 40, f"shift of {worst if worst > MAX_ALIGN_SHIFT else down} bits"


def activation_exact(view: OpView) -> Verdict:
    """A fused activation is relu, relu6, clip, or leaky relu with alpha = m/256 (XINT8: 26/256)."""
    act = view.activation
    if act is None:
        return True, ""
    if act.alpha is not None:
        alpha = float(np.float32(act.alpha)) * 256
        return alpha == round(alpha) and 0 <= alpha < 256, f"alpha {act.alpha:g} is not a multiple of 1/256"
    return not (math.isnan(act.lo) or math.isnan(act.hi)) and act.lo <= act.hi, f"bounds {act.lo:g}, {act.hi:g}"


def no_leaky(view: OpView) -> Verdict:
    """A pool or a concat is followed by no activation other than relu or clip."""
    return view.activation is None or view.activation.alpha is None, "leaky relu; quantise between the two"


def conv_layout(view: OpView) -> Verdict:
    """Data is NCHW, weights are OIHW, groups divide the channels."""
    attrs = view.anchor.attrs
    layout = f"{attrs.data_layout}/{attrs.kernel_layout}"
    return layout == "NCHW/OIHW", layout


def padding_fits(view: OpView) -> Verdict:
    """At most 31 pixels of padding lie left and right of a line, 15 of int16 (a memtile's DMA adds up to 63 words)."""
    g, source = view.geometry, view.inputs[0]
    if len(source.shape) != 4 or len(view.out_shape) != 4:
        return True, ""
    most = 15 if source.quant is not None and source.quant.dtype == "int16" else 31
    reach = (view.out_shape[3] - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1
    left, right = g.pads[1], reach - g.pads[1] - source.shape[3]
    return max(left, right) <= most, f"{left} left, {max(right, 0)} right"


def matrix_of_weights(view: OpView) -> Verdict:
    """The left operand is (N, K), the weights are (K, M), the bias has M values."""
    assert view.weight is not None
    ok = len(view.inputs[0].shape) == 2 and view.weight.value.ndim == 2 and len(view.out_shape) == 2
    return ok, f"shapes {view.inputs[0].shape} x {view.weight.value.shape}"


def bias_per_channel(view: OpView) -> Verdict:
    """The bias has one value, or one per output channel."""
    if view.bias is None:
        return True, ""
    shape = view.bias.value.shape
    return _is_per_channel(shape, view.out_shape), f"bias of shape {shape}"


def per_channel_operand(view: OpView) -> Verdict:
    """The constant operand is one value, or one per channel."""
    assert view.weight is not None
    shape = view.weight.value.shape
    same = bool(view.inputs) and view.inputs[0].shape == view.out_shape
    return same and _is_per_channel(shape, view.out_shape), f"constant of shape {shape}"


def _is_per_channel(shape: tuple[int, ...], out: tuple[int, ...]) -> bool:
    if math.prod(shape) == 1:
        return True
    padded = (1,) * (len(out) - len(shape)) + tuple(shape)
    return len(padded) == len(out) and all(d == (out[1] if i == 1 else 1) for i, d in enumerate(padded))


def same_shapes(view: OpView) -> Verdict:
    """Both operands have the shape of the result."""
    shapes = [s.shape for s in view.inputs]
    return len(shapes) == 2 and all(s == view.out_shape for s in shapes), f"shapes {shapes}"


def channel_axis(view: OpView) -> Verdict:
    """Concatenation is along the channels."""
    return view.axis % len(view.out_shape) == 1, f"axis {view.axis}"


def pool_layout(view: OpView) -> Verdict:
    """Pooling is over the height and width of an NCHW tensor, and each window touches the image."""
    if len(view.inputs[0].shape) != 4:
        return False, f"shape {view.inputs[0].shape}"
    g, size = view.geometry, view.inputs[0].shape[2:]
    inside = True
    for axis in range(2):
        out = view.out_shape[2 + axis] if len(view.out_shape) == 4 else 1
        taps = tap_counts(size[axis], out, g.kernel[axis], g.stride[axis], g.pads[axis], g.dilation[axis])
        inside = inside and 0 not in taps
    return inside, f"pads {g.pads} with kernel {g.kernel}"


def average_counts(view: OpView) -> Verdict:
    """An average pool in ceil mode does not count padding."""
    return not (view.geometry.ceil_mode and view.geometry.include_pad), "ceil_mode with count_include_pad"


def average_divisors(view: OpView) -> Verdict:
    """An average pool that leaves padding out divides by at most 48 different counts: its opcodes fit a core."""
    if view.geometry.include_pad:
        return True, ""
    out = view.out_shape[2:] if len(view.out_shape) == 4 else (1, 1)
    shape = view.inputs[0].shape
    found = len(divisor_counts(view.geometry, (shape[2], shape[3]), (out[0], out[1])))
    return found <= MAX_DIVISORS, f"{found} counts; smaller pads, or count_include_pad"


def average_exact(view: OpView) -> Verdict:
    """Each divisor of an average pool has a multiplier and shift that equal fp32 for every possible sum."""
    shape = view.inputs[0].shape
    out = view.out_shape[2:] if len(view.out_shape) == 4 else (1, 1)
    shift = exponent(view.output) - exponent(view.inputs[0].quant)
    rows = rationals(view.geometry, (shape[2], shape[3]), (out[0], out[1]), view.factor, shift)
    return not isinstance(rows, int), f"division by {rows}"


def integer_factors(view: OpView) -> Verdict:
    """Upsampling is nearest neighbour by integer factors."""
    attrs, shape = view.anchor.attrs, view.inputs[0].shape
    if str(attrs.method) != "nearest_neighbor" or len(shape) != 4:
        return False, f"method {attrs.method}"
    exact = all(o % i == 0 for o, i in zip(view.out_shape[2:], shape[2:], strict=True))
    if not exact:
        return False, f"{shape[2:]} to {view.out_shape[2:]}"
    mode, rounding = str(attrs.coordinate_transformation_mode), str(attrs.rounding_method)
    floor = (mode == "asymmetric" and rounding in ("", "floor")) or (mode == "half_pixel" and "round" in rounding)
    return floor, f"coordinates {mode}, rounding {rounding}"


def same_scale(view: OpView) -> Verdict:
    """The operator moves data only: the result has the scale of the input."""
    return view.output is not None and exponent(view.output) == exponent(view.inputs[0].quant), "scales differ"


def layout_only(view: OpView) -> Verdict:
    """A reshape, transpose or slice flattens, drops unit dimensions, or permutes channels."""
    source = view.inputs[0]
    if source.var is None or source.quant is None or source.quant.dtype not in ("int8", "uint8"):
        return False, "not a quantised activation"
    return view.order is not None, f"{source.shape} to {view.out_shape}"


_ENDS: tuple[Rule, ...] = (
    inputs_quantised,
    output_quantised,
    per_tensor_scales,
    power_of_two_scales,
    activation_zero_points,
    one_batch,
)
_WEIGHTS: tuple[Rule, ...] = (weights_quantised, weight_types)
_SUMS: tuple[Rule, ...] = (shifts_in_range, accumulator_fits, activation_exact)

RULES: dict[str, tuple[Rule, ...]] = {
    "conv2d": (*_ENDS, *_WEIGHTS, image_shapes, conv_layout, padding_fits, bias_per_channel, *_SUMS),
    "dense": (*_ENDS, *_WEIGHTS, matrix_of_weights, bias_per_channel, *_SUMS),
    "channel_mul": (*_ENDS, *_WEIGHTS, image_shapes, per_channel_operand, *_SUMS),
    "channel_add": (*_ENDS, *_WEIGHTS, image_shapes, per_channel_operand, *_SUMS),
    "add": (*_ENDS, image_shapes, same_shapes, shifts_in_range, activation_exact),
    "max_pool": (*_ENDS, pool_layout, shifts_in_range, no_leaky, activation_exact),
    "avg_pool": (*_ENDS, pool_layout, average_counts, average_divisors, no_leaky, activation_exact, average_exact),
    "concat": (*_ENDS, image_shapes, channel_axis, shifts_in_range, no_leaky, activation_exact),
    "upsample": (*_ENDS, integer_factors, same_scale, no_leaky, activation_exact),
    "activation": (*_ENDS, image_shapes, shifts_in_range, activation_exact),
    "requantize": (*_ENDS, image_shapes, shifts_in_range),
    "layout": (layout_only,),
    "permute": (layout_only,),
}


def first_violation(view: OpView) -> str | None:
    """Why ``view`` stays on the host; None when the array takes it."""
    ok, detail = supported_kind(view)
    if not ok:
        return detail
    for rule in RULES[view.kind]:
        ok, detail = rule(view)
        if not ok:
            return f"{(rule.__doc__ or rule.__name__).strip()} ({detail})"
    return None
