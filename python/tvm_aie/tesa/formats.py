"""In which number format each tensor can be kept without changing a value.

A QDQ network computes on a grid: its float tensors hold whole multiples of a power of two, which its quantised
tensors name. Where propagation bounds such a tensor, the bound in units of the grid says how many bits it takes; the
sums of a convolution get the bits that its live weights can add up to. A float tensor off any grid is fp32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.attribute import Code, narrowest_code, storage_code
from tvm_aie.tesa.facts import BIG, lowest_bit
from tvm_aie.tesa.ir import const_array, dtype_of, is_const, number, op_name
from tvm_aie.tesa.propagation import Propagation, WeightUse, tensor_arguments

_SAME = {"nn.relu", "nn.max_pool2d", "reshape", "permute_dims", "flatten", "nn.batch_flatten", "squeeze",
         "expand_dims", "split", "strided_slice", "take", "flip", "tile", "repeat", "negative", "abs", "broadcast_to",
         "image.resize2d", "concat", "stack", "add", "subtract", "maximum", "minimum", "sum", "max", "min",
         "nn.pad"}  # fmt: skip
_PRODUCTS = {"nn.conv2d", "matmul", "multiply"}


def grids(result: Propagation) -> dict[Any, int]:
    """Exponent of the grid of each float variable that lies on one."""
    found: dict[Any, int] = {}
    for var in result.order:
        exponent = _grid(result, var, found)
        if exponent is not None:
            found[var] = exponent
    return found


def _grid(result: Propagation, var: Any, found: dict[Any, int]) -> int | None:
    value = result.nodes[var].call if var in result.nodes else result.aliases.get(var)
    if isinstance(value, relax.Var):
        return found.get(value)
    if isinstance(value, relax.TupleGetItem):
        return found.get(value.tuple_value)
    if value is None or isinstance(value, relax.Tuple):
        return None
    name = op_name(value)
    if name == "dequantize":
        scale = const_array(value.args[1]).ravel() if is_const(value.args[1]) else np.zeros(0)
        mantissa, exponents = np.frexp(scale.astype(np.float64))
        return int(exponents.min()) - 1 if scale.size and (mantissa == 0.5).all() else None
    arguments = tensor_arguments(value)
    own = [_argument_grid(result, a, found) for a in arguments[: 2 if name in _PRODUCTS else len(arguments)]]
    if name == "take":
        own = own[:1]
    whole = [g for g in own if g is not None]
    if len(whole) != len(own):
        return None
    if name in _PRODUCTS:
        return sum(whole)
    if name == "clip":
        return min(*whole, *(lowest_bit(np.asarray([number(a)])) for a in value.args[1:3]))
    if name == "nn.pad":
        return min(*whole, lowest_bit(np.asarray([float(value.attrs.pad_value)])))
    return min(whole) if name in _SAME and whole else None


def _argument_grid(result: Propagation, argument: Any, found: dict[Any, int]) -> int | None:
    if not result.constants.is_constant(argument):
        return found.get(argument)
    array = result.constants.array(argument)
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        return 0 if np.issubdtype(array.dtype, np.integer) else None
    exponent = lowest_bit(array.astype(np.float64))
    return exponent if exponent > -100 else None


def code_of(result: Propagation, var: Any, grid: dict[Any, int]) -> Code:
    """The narrowest format that keeps every value of a tensor."""
    fact = result.fact(var)
    lo, hi = float(fact.lo.min()), float(fact.hi.max())
    if var in grid:
        if max(abs(lo), abs(hi)) >= BIG:
            return storage_code(fact.dtype)
        unit = math.ldexp(1.0, -grid[var])  # bounds carry a little room for fp32, which no grid point lies in
        slack = 1 + 2.0**-16
        code = narrowest_code(math.ceil(lo * unit / (slack if lo > 0 else 1) - 2**-10),
                              math.floor(hi * unit + 2**-10))  # fmt: skip
        return storage_code(fact.dtype) if code == Code.NONPRUNED else code
    code = storage_code(fact.dtype)
    if code.kind in ("int", "uint"):
        bounded = narrowest_code(lo, hi)
        code = code if bounded == Code.NONPRUNED else bounded
    return code


def constant_code(result: Propagation, expr: Any, needed: Any = True) -> Code:
    """The narrowest format of a constant (where ``needed``), in its own units if it is quantised."""
    from tvm_aie.tesa.quantised import integers_of

    found = integers_of(expr, result.constants)
    if found is None:
        return storage_code(dtype_of(expr))
    live = np.where(needed, found.values, 0)
    return narrowest_code(float(live.min(initial=0)), float(live.max(initial=0)))


def weight_code(result: Propagation, use: WeightUse) -> Code:
    """The narrowest format of the live weights of one use."""
    return constant_code(result, result.nodes[use.var].call.args[use.position], use.needed)
