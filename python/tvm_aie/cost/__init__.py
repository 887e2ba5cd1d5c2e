"""Analytical cost: kernel cycles and lower bounds, all `estimated`."""

from tvm_aie.cost.bounds import LowerBound, lower_bound
from tvm_aie.cost.kernels import Lists, channelwise_cycles, conv_cycles, ideal_cycles, kernel_cycles

__all__ = ["Lists", "LowerBound", "channelwise_cycles", "conv_cycles", "ideal_cycles", "kernel_cycles", "lower_bound"]
