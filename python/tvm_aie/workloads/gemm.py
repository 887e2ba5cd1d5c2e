"""``C[M, N] = A[M, K] x B[K, N]``: its size, its traffic under a tiling, and, for int8, a layer graph that runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_aie.errors import InputError
from tvm_aie.plan.graph import Conv, GraphIO, Int8Array, LayerGraph, Requant, Tensor

BYTES = {"i8": 1, "i16": 2, "bf16": 2}
PEAK = {"i8": 1.0, "i16": 0.25, "bf16": 0.5}  # share of the int8 multiply-accumulate rate (hw.md 5)
_NAMES = {"int8": "i8", "int16": "i16", "bfloat16": "bf16"}
MAX_WIDTH = 64


@dataclass(frozen=True)
class Grid:
    """Cores (rows x columns of C tiles computed at once) and the tile of one core."""

    rows: int
    cols: int
    tile_m: int
    tile_k: int
    tile_n: int


@dataclass(frozen=True)
class Gemm:
    """A matrix product; ``dtype``: i8, i16 or bf16 of A, B and C."""

    m: int
    k: int
    n: int
    dtype: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.m * self.k * self.n

    def traffic_bytes(self, grid: Grid) -> int:
        """DDR bytes: A once per block column, B once per block row of the grid, C once."""
        again_a = -(-self.n // (grid.cols * grid.tile_n))
        again_b = -(-self.m // (grid.rows * grid.tile_m))
        elements = self.m * self.k * again_a + self.k * self.n * again_b + self.m * self.n
        return elements * BYTES[self.dtype]

    def core_macs(self, grid: Grid) -> int:
        """Multiply-accumulates of the busiest core: whole tiles, as many as its share of C has, over all of K."""
        tiles = -(-self.m // (grid.rows * grid.tile_m)) * -(-self.n // (grid.cols * grid.tile_n))
        return tiles * grid.tile_m * grid.tile_n * -(-self.k // grid.tile_k) * grid.tile_k

    def layer_graph(self, weight: Int8Array | None = None, shift: int = 8, seed: int = 0) -> LayerGraph:
        """As a 1x1 convolution over an image of M pixels, the way this backend computes it. int8 only.

        ``weight``: B as (K, N), default random. int16 and bfloat16 have a cost model but no core kernel.
        """
        if self.dtype != "i8":
            raise InputError(f"gemm {self.dtype}: the core kernels compute int8; {self.dtype} has a cost model only")
        if weight is None:
            weight = np.random.default_rng(seed).integers(-127, 128, (self.k, self.n), np.int8)
        width = max(w for w in range(1, min(MAX_WIDTH, self.m) + 1) if self.m % w == 0)
        height = self.m // width
        a, c = Tensor("a", self.k, height, width, 0), Tensor("c", self.n, height, width, 0)
        kernel = np.ascontiguousarray(weight.T)[:, :, None, None]
        layer = Conv("gemm", "a", "c", kernel, np.zeros(self.n, np.int64), 0, Requant(shift))
        graph = LayerGraph(
            f"gemm_{self.m}x{self.k}x{self.n}",
            {"a": a, "c": c},
            (layer,),
            (GraphIO("a", (1, self.k, height, width), "int8"),),
            (GraphIO("c", (1, self.n, height, width), "int8"),),
        )
        graph.verify()
        return graph


def gemm(m: int, k: int, n: int, dtype: str = "i8") -> Gemm:
    """A matrix product of these sizes; ``dtype`` i8 (int8), i16 (int16) or bf16 (bfloat16)."""
    name = _NAMES.get(dtype, dtype)
    if name not in BYTES or min(m, k, n) < 1:
        raise InputError(f"gemm {m}x{k}x{n} {dtype}: sizes must be positive, dtype one of {', '.join(BYTES)}")
    return Gemm(m, k, n, name)
