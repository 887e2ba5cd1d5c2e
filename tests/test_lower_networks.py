"""The nine networks of the onnx wheel: partition, lower, evaluate; every tensor that leaves the array is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tvm_aie
from tvm_aie.cli.regions import quantised_tensors

tvm_aie._autoload()

from tvm_aie.frontend import from_onnx  # noqa: E402
from tvm_aie.frontend.onnx_zoo import light_model  # noqa: E402
from tvm_aie.plan.graph import LayerGraph  # noqa: E402
from tvm_aie.plan.lower import lower_function  # noqa: E402
from tvm_aie.plan.reference import evaluate  # noqa: E402
from tvm_aie.quantize.xint8 import quantize  # noqa: E402
from tvm_aie.relax.codegen import is_region  # noqa: E402
from tvm_aie.relax.partition import partition  # noqa: E402

SMALL = {"squeezenet": 1, "shufflenet": 1, "resnet50": 1, "inception_v2": 1, "densenet121": 1, "inception_v1": 3}
LARGE = {"bvlc_alexnet": 3, "zfnet512": 3, "vgg19": 1}
CASES = [*SMALL.items(), *(pytest.param(n, r, marks=pytest.mark.slow) for n, r in LARGE.items())]


def check_region(graph: LayerGraph, tensors: dict[str, Any]) -> None:
    """The region's inputs are onnxruntime's tensors of the same name; its outputs must be among them by value."""
    for value in evaluate(graph, {io.tensor: tensors[io.tensor] for io in graph.inputs}).values():
        assert any(value.size == v.size and np.array_equal(value.ravel(), v.ravel()) for v in tensors.values())


@pytest.mark.parametrize(("name", "regions"), CASES)
def test_light_network(name: str, regions: int) -> None:
    model = quantize(light_model(name, 0))
    value = model.graph.input[0]
    shape = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    feeds = {value.name: np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    split = partition(from_onnx(model))
    assert split.report.regions == regions
    assert split.report.mac_share == 1.0
    assert {op.kind for op in split.report.host_ops} <= {"quantize", "dequantize", "softmax", "lrn", "layout"}
    tensors = quantised_tensors(model, feeds)
    found = [lower_function(f, "g") for _, f in split.module.functions_items() if is_region(f)]
    assert len(found) == regions
    for graph in found:
        check_region(graph, tensors)
