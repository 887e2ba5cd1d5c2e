"""``LayerGraph``: what stage 5 (lower) hands to the planner. Integer semantics, all explicit.

Every activation tensor is int8 (or int16 between convolutions) with zero point 0 and batch 1, logical shape (C, H, W);
a vector of N features is (N, 1, 1). ``tvm_aie.plan.reference`` evaluates a graph with numpy int64 and is the oracle of
everything after this stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import ProgramError

Int8Array = npt.NDArray[np.int8]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tensor:
    """An activation: logical channels, height, width; zero point 0. ``exponent``: scale is 2**exponent.

    ``bits``: 8, or 16, which only convolutions read and write.
    """

    name: str
    channels: int
    height: int
    width: int
    exponent: int
    bits: int = 8

    @property
    def elements(self) -> int:
        """Number of logical elements."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Requant:
    """The one rounding: ``clip(srs_conv_even(v, shift), lo, hi)``; shift may be negative (left).

    ``negative_mul``: 0 = none; m = leaky ReLU by m/256 on the accumulator before the rounding
    (v < 0 -> v*m, v >= 0 -> v*256, and shift + 8).
    """

    shift: int
    lo: int = -128
    hi: int = 127
    negative_mul: int = 0


@dataclass(frozen=True)
class Tail:
    """Second stage of a convolution: ``requant((x << x_shift) + (residual << res_shift))`` or ``... + bias``.

    x is the int8 output of the first stage. Exactly one of ``residual`` and ``bias`` (int64 (Cout,)) is given.
    """

    name: str
    residual: str | None
    x_shift: int
    res_shift: int
    bias: Int64Array | None = field(repr=False)
    requant: Requant


@dataclass(frozen=True)
class TrueWindow:
    """What a convolution multiplies per output in the network, where ``plan.space_to_depth`` gave it another window."""

    channels: int
    height: int
    width: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one output element."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Part:
    """A convolution of the network inside one that ``plan.unite`` made.

    Its output channels lie next to each other; ``top`` .. ``width`` say which part of the window is its own.
    """

    name: str
    channels: int
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Conv:
    """conv2d / dense. ``out = requant((sum(x*w) << acc_shift) + bias)``.

    weight: int8 (Cout, Cin/groups, kh, kw); bias: int64 (Cout,), already at the accumulator's LSB after
    ``acc_shift``. pads: top, left, bottom, right. A dense layer on a flattened tensor is a convolution
    whose kernel is the whole image. shifts: of each output channel, added to that of ``requant``; none: 0.
    """

    name: str
    input: str
    output: str
    weight: Int8Array = field(repr=False)
    bias: Int64Array = field(repr=False)
    acc_shift: int
    requant: Requant
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    tail: Tail | None = None  # these four are set by plan.fuse
    pool_before: Pool | None = None  # ``input`` is the pool's; the window is 1x1
    pool_after: Pool | None = None  # ``output`` is the pool's
    scale_before: Conv | None = None  # ``input`` is its; the window is 1x1 (plan.scale)
    true_window: TrueWindow | None = None  # set by plan.space_to_depth
    shifts: tuple[int, ...] = ()  # these two are set by plan.unite
    parts: tuple[Part, ...] = ()
    front: Conv | None = None  # ``input`` is its (plan.front)

    @property
    def has_stages(self) -> bool:
        """Whether it has taken other layers into its item."""
        stages = self.tail, self.pool_before, self.pool_after, self.scale_before, self.front
        return any(stage is not None for stage in stages)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input, self.tail.residual) if self.tail and self.tail.residual else (self.input,)


@dataclass(frozen=True)
class Add:
    """``out = requant((a << a_shift) + (b << b_shift))``; with ``b`` None: requantise / copy."""

    name: str
    a: str
    b: str | None
    output: str
    a_shift: int
    b_shift: int
    requant: Requant

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.a,) if self.b is None else (self.a, self.b)


@dataclass(frozen=True)
class AvgDivisor:
    """``out = clip(srs_conv_even(sum*mult, shift))`` for windows with ``count`` taps inside the image (0 = any)."""

    count: int
    mult: int
    shift: int


@dataclass(frozen=True)
class Pool:
    """Max pool (``divisors`` empty; taps outside the image never win) or average pool (one row per divisor).

    ``sums``: neither, but the sums of the windows, int16; only inside a convolution (``plan.sums``).
    """

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    divisors: tuple[AvgDivisor, ...] = ()
    lo: int = -128
    hi: int = 127
    dilation: tuple[int, int] = (1, 1)
    sums: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input,)


@dataclass(frozen=True)
class Concat:
    """Channel concatenation of tensors of one exponent (a different exponent is requantised by an ``Add`` first)."""

    name: str
    parts: tuple[str, ...]
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return self.parts


@dataclass(frozen=True)
class Permute:
    """Channel permutation: output channel i is input channel ``order[i]`` (channel shuffle, slices of channels)."""

    name: str
    input: str
    output: str
    order: tuple[int, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input,)


@dataclass(frozen=True)
class Upsample:
    """Nearest-neighbour upsampling by integer factors (fy, fx)."""

    name: str
    input: str
    output: str
    factors: tuple[int, int]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input,)


Layer = Union[Conv, Add, Pool, Concat, Permute, Upsample]


@dataclass(frozen=True)
class GraphIO:
    """A network input or output as the host sees it: NCHW shape, int8, int16 or uint8 (zero point 128: xor 0x80).

    ``fold``: pixels of a line that are one pixel of the tensor (``plan.space_to_depth``; inputs only).
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str  # "int8" | "uint8" | "int16"
    fold: int = 1


@dataclass(frozen=True)
class LayerGraph:
    """Layers in execution order; tensors by name; inputs and outputs of the offloaded function."""

    name: str
    tensors: dict[str, Tensor]
    layers: tuple[Layer, ...]
    inputs: tuple[GraphIO, ...]
    outputs: tuple[GraphIO, ...]

    def verify(self) -> None:
        """Raise ``ProgramError`` unless each tensor is defined once, before use, with consistent shapes."""
        known = {io.tensor for io in self.inputs}
        for layer in self.layers:
            for name in layer.inputs:
                if name not in known:
                    raise ProgramError(f"layer {layer.name}: reads tensor {name} before it is written")
            if layer.output in known:
                raise ProgramError(f"layer {layer.name}: writes tensor {layer.output} a second time")
            expected = output_shape(layer, self.tensors)
            out = self.tensors[layer.output]
            if (out.channels, out.height, out.width) != expected:
                shape = (out.channels, out.height, out.width)
                raise ProgramError(f"layer {layer.name}: output {out.name} is {shape}, expected {expected}")
            known.add(layer.output)
        for io in self.outputs:
            if io.tensor not in known:
                raise ProgramError(f"graph {self.name}: output {io.tensor} is never written")
            if any(io.tensor == given.tensor for given in self.inputs):
                raise ProgramError(f"graph {self.name}: output {io.tensor} is an input; leave it out")
        self._verify_bits()

    def _verify_bits(self) -> None:
        """int16 lies between convolutions without a second stage; their sums cannot leave 32 bits."""
        for io in (*self.inputs, *self.outputs):
            if (io.dtype == "int16") != (self.tensors[io.tensor].bits == 16):
                bits = self.tensors[io.tensor].bits
                raise ProgramError(f"tensor {io.tensor} of {bits} bits is {io.dtype} on the host")
        for layer in self.layers:
            wide = [n for n in (*layer.inputs, layer.output) if self.tensors[n].bits != 8]
            if not wide:
                continue
            if isinstance(layer, Concat) and len({self.tensors[n].bits for n in (*layer.parts, layer.output)}) == 1:
                continue
            if isinstance(layer, Pool) and layer.divisors and wide == [layer.input]:
                continue  # of partial sums
            if not isinstance(layer, Conv):
                raise ProgramError(f"layer {layer.name}: only convolutions compute on int16 ({wide[0]})")
            if layer.pool_before is not None and layer.pool_before.divisors and wide == [layer.input]:
                continue
            if layer.pool_after is not None and layer.pool_after.sums and wide == [layer.output]:
                continue
            if layer.tail is not None and self.tensors[layer.output].bits != 8:
                raise ProgramError(f"layer {layer.name}: a second stage writes int8")
            if self.tensors[layer.input].bits == 16:
                peak = int(np.abs(layer.weight.astype(np.int64)).reshape(len(layer.weight), -1).sum(axis=1).max()) << 15
                if peak > 2**31 - 1:
                    raise ProgramError(f"layer {layer.name}: the sum of products may reach {peak}, beyond 32 bits")


def conv_out(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Output length of a convolution or pooling along one axis (floor mode; ceil mode is expressed by ``after``)."""
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def _window_shape(layer: Conv | Pool, kernel: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    top, left, bottom, right = layer.pads
    return (
        conv_out(height, kernel[0], layer.stride[0], top, bottom, layer.dilation[0]),
        conv_out(width, kernel[1], layer.stride[1], left, right, layer.dilation[1]),
    )


def conv_shapes(conv: Conv, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(height, width) that the window reads, that it writes, and that the layer writes, pools included."""
    read = height, width
    if conv.pool_before:
        read = _window_shape(conv.pool_before, conv.pool_before.kernel, *read)
    kh, kw = conv.weight.shape[2:]
    written = _window_shape(conv, (kh, kw), *read)
    pool = conv.pool_after
    return read, written, _window_shape(pool, pool.kernel, *written) if pool else written


def output_shape(layer: Layer, tensors: dict[str, Tensor]) -> tuple[int, int, int]:
    """Logical (C, H, W) that ``layer`` writes, from its inputs' shapes."""
    first = tensors[layer.inputs[0]]
    if isinstance(layer, Conv):
        return (layer.weight.shape[0], *conv_shapes(layer, first.height, first.width)[-1])
    if isinstance(layer, Pool):
        return (first.channels, *_window_shape(layer, layer.kernel, first.height, first.width))
    if isinstance(layer, Concat):
        return (sum(tensors[p].channels for p in layer.parts), first.height, first.width)
    if isinstance(layer, Permute):
        return (len(layer.order), first.height, first.width)
    if isinstance(layer, Upsample):
        return (first.channels, first.height * layer.factors[0], first.width * layer.factors[1])
    return (first.channels, first.height, first.width)
