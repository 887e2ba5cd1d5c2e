"""Post-training quantisation to XINT8 (power-of-two scales, QDQ), with AMD Quark or our own writer."""

from tvm_aie.quantize.files import QuantizeResult, quantize_file, quark_available
from tvm_aie.quantize.xint8 import quantize

__all__ = ["QuantizeResult", "quantize", "quantize_file", "quark_available"]
