"""Roofline: no schedule can be faster than this. `estimated` by definition."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_aie.device import Device


@dataclass(frozen=True)
class LowerBound:
    """Cycles that compute alone and DDR alone need at their peak rates."""

    compute_cycles: float
    ddr_cycles: float

    @property
    def cycles(self) -> float:
        """The larger of the two."""
        return max(self.compute_cycles, self.ddr_cycles)

    @property
    def limit(self) -> str:
        """Which of the two it is: ``compute`` or ``DDR``."""
        return "compute" if self.compute_cycles >= self.ddr_cycles else "DDR"


def lower_bound(macs: float, ddr_bytes: float, device: Device) -> LowerBound:
    """max(MACs / peak, DDR bytes / bandwidth); bandwidth is the lesser of DDR (0 = unlimited) and the shim channels."""
    ddr = device.ddr_bytes_per_cycle(device.cols)
    bandwidth = min(ddr, device.shim_bytes_per_cycle) if ddr else device.shim_bytes_per_cycle
    return LowerBound(macs / device.peak_macs_per_cycle, ddr_bytes / bandwidth)
