"""Problems without a network file: matrix products."""

from tvm_aie.workloads.gemm import Gemm, Grid, gemm

__all__ = ["Gemm", "Grid", "gemm"]
