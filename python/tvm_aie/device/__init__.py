"""The machines: numbers with unit, source and tag in TOML files, loaded into one frozen ``Device``."""

from tvm_aie.device.load import device_names, load_device
from tvm_aie.device.spec import BdLimits, ChannelwiseCost, ConvCost, Device, InstructionBudget, Quantity, SiliconFit

__all__ = [
    "BdLimits",
    "ChannelwiseCost",
    "ConvCost",
    "Device",
    "InstructionBudget",
    "Quantity",
    "SiliconFit",
    "device_names",
    "load_device",
]
