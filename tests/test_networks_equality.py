"""The nine networks on the emulated array: every tensor that leaves it equals onnxruntime's, dense and block-sparse.

Networks with LRN are cut into regions by it; each region is fed onnxruntime's own tensors (float LRN differs between
TVM and onnxruntime in the last bits). ``make test`` runs one case of every network, ``make test-full`` the matrix.
"""

from __future__ import annotations

import numpy as np
import pytest

import tvm_aie
from tvm_aie.cli.regions import quantised_tensors

tvm_aie._autoload()

from tvm_aie.frontend import from_onnx  # noqa: E402
from tvm_aie.frontend.onnx_zoo import LIGHT_NAMES, light_model  # noqa: E402
from tvm_aie.pipeline import compile_graph  # noqa: E402
from tvm_aie.plan.lower import lower_function  # noqa: E402
from tvm_aie.quantize.xint8 import quantize  # noqa: E402
from tvm_aie.relax.codegen import is_region  # noqa: E402
from tvm_aie.relax.partition import partition  # noqa: E402
from tvm_aie.runtime.emulator import RunOptions, run_program  # noqa: E402
from tvm_aie.sparsity import sparsify  # noqa: E402

FAST = {  # vgg19 has no kind of layer that bvlc_alexnet has not
    ("resnet50", 0, 0.5),
    ("squeezenet", 1, 1.0),
    ("inception_v1", 0, 1.0),
    ("inception_v2", 1, 0.5),
    ("densenet121", 0, 0.5),
    ("shufflenet", 1, 1.0),
    ("bvlc_alexnet", 1, 0.5),
    ("zfnet512", 0, 1.0),
}
CASES = [
    pytest.param(n, s, d, marks=[] if (n, s, d) in FAST else [pytest.mark.slow])
    for n in LIGHT_NAMES
    for s in (0, 1)
    for d in (1.0, 0.5)
]


@pytest.mark.parametrize(("name", "seed", "density"), CASES)
def test_light_network(name: str, seed: int, density: float) -> None:
    model = light_model(name, seed)
    if density < 1:
        model, report = sparsify(model, density)
        assert report.density < 0.9
    model = quantize(model)
    value = model.graph.input[0]
    shape = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    feeds = {value.name: np.random.default_rng(seed + 1).normal(size=shape).astype(np.float32)}
    split = partition(from_onnx(model))
    assert split.report.mac_share >= 0.99
    tensors = quantised_tensors(model, feeds)
    for _, function in split.module.functions_items():
        if not is_region(function):
            continue
        graph = lower_function(function, "g")
        compiled = compile_graph(graph)
        images = [np.ascontiguousarray(tensors[io.tensor].reshape(io.shape)) for io in graph.inputs]
        # Check mode where it costs little: it is about ten times slower.
        result = run_program(
            compiled.program.to_bytes(), images, RunOptions(check=name in ("squeezenet", "shufflenet"))
        )
        for io, got in zip(graph.outputs, result.outputs, strict=True):
            same = [v for v in tensors.values() if v.size == got.size and np.array_equal(v.ravel(), got.ravel())]
            assert same, f"{io.tensor} is none of onnxruntime's tensors"
            assert np.unique(got).size > 1, f"{io.tensor} is constant: equality would mean nothing"
