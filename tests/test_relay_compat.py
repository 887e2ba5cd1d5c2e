"""A Relay-era script runs after changing nothing but the target."""

from __future__ import annotations

import numpy as np
import pytest
import tvm

import tvm_aie
from numpy_backend import numpy_backend
from qdq_net import QdqNet, run_onnx
from tvm_aie.errors import InputError

tvm_aie._autoload()

from tvm import relay  # noqa: E402
from tvm.contrib import graph_executor  # noqa: E402


def test_relay_script() -> None:
    net = QdqNet((2, 3, 8, 8))
    model = net.model(net.op("Softmax", [net.qdq(net.conv(net.input, 3, 8), -3)]))
    feeds = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"input": feeds})
    with numpy_backend():
        mod, params = relay.frontend.from_onnx(model, {"input": (2, 3, 8, 8)})
        with tvm.transform.PassContext(opt_level=3):
            lib = relay.build(mod, target="aie2", params=params)
        dev = tvm.cpu()
        module = graph_executor.GraphModule(lib["default"](dev))
        module.set_input("input", feeds)
        module.run()
        assert module.get_num_outputs() == 1 and module.get_num_inputs() == 1
        np.testing.assert_allclose(module.get_output(0).numpy(), expected, rtol=1e-5)
        with pytest.raises(InputError, match="no output 1; the network has 1"):
            module.get_output(1)
        module.run(input=tvm.runtime.tensor(feeds * 0))
        assert not np.array_equal(module.get_output(0).numpy(), expected)
        times = module.benchmark(dev, repeat=2, number=1)
        assert len(times.results) == 2 and times.min <= times.mean <= times.max and "measured" in str(times)


def test_mistakes_are_named() -> None:
    net = QdqNet((1, 3, 8, 8))
    model = net.model(net.op("Softmax", [net.qdq(net.conv(net.input, 3, 8), -3)]))
    with numpy_backend():
        mod, params = relay.frontend.from_onnx(model)
        lib = relay.build(mod, target="aie2", params=params)
        module = graph_executor.GraphModule(lib["default"](tvm.cpu()))
        with pytest.raises(InputError, match="no input 'data'"):
            module.set_input("data", np.zeros((1, 3, 8, 8), np.float32))
        with pytest.raises(InputError, match=r"expected float32 \(1, 3, 8, 8\)"):
            module.set_input("input", np.zeros((1, 3, 8, 7), np.float32))
        with pytest.raises(InputError, match="expected float32"):
            module.set_input("input", np.zeros((1, 3, 8, 8)))
        with pytest.raises(InputError, match="inputs not set"):
            module.run()
        with pytest.raises(InputError, match="call run"):
            module.get_output(0)
        with pytest.raises(KeyError, match="default"):
            lib["other"]


def test_names_are_reachable_as_attributes() -> None:
    import tvm.relay as by_import

    assert by_import.build is relay.build
    assert tvm.relay.frontend is relay.frontend
