"""Block sparsity: masks of whole 8 x 8 channel blocks by magnitude, on float and quantised ONNX networks."""

from tvm_aie.sparsity.narrow import NarrowReport, narrow_weights
from tvm_aie.sparsity.sparsify import LayerSparsity, SparsityReport, sparsify

__all__ = ["LayerSparsity", "NarrowReport", "SparsityReport", "narrow_weights", "sparsify"]
