"""``tvm-aie explain --tesa`` as a user sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import networks
from qdq_net import QdqNet
from tvm_aie.cli import main

TARGET = ["--target", "aie2/wbs-1x2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """A network whose second layer reads 16 constant channels and whose third reads half of its second's, masks for
    it, and a network that is not quantised."""
    path: Path = tmp_path_factory.mktemp("tesa")
    net = QdqNet((1, 8, 7, 7))
    first, second, third = net.ints((32, 8, 1, 1), 1, 8), net.ints((32, 32, 1, 1), 1, 7), net.ints((8, 32, 1, 1), 1, 7)
    first[16:] = 0
    third[:, 24:] = 0
    x = net.qdq(net.relu(net.conv(net.input, 8, 32, 1, we=-5, be=-5, value=first)), -3)
    x = net.qdq(net.relu(net.conv(x, 32, 32, 1, we=-6, be=-6, value=second)), -2)
    onnx.save(net.model(net.qdq(net.conv(x, 32, 8, 1, we=-6, be=-6, value=third), 0)), path / "net.onnx")
    onnx.save(networks.TINY["conv_relu"](), path / "float.onnx")
    np.savez(path / "masks.npz", w_12_dq_7=np.ones(1))
    return path


def explain(*args: Any) -> int:
    return main.main(["explain", *map(str, args), "--quiet"])


def test_report_names_causes_bits_and_savings(folder: Path, capsys: Any) -> None:
    assert explain(folder / "net.onnx", "--tesa", *TARGET) == 0
    out = capsys.readouterr().out
    assert "16 of its own filters are empty" in out and "16 input channels are constants" in out
    assert "8 output channels are not read by" in out
    assert "32x32x1->24x16" in out and "8>4" in out  # weights of 1 to 6 take four bits
    assert "saved) [estimated]" in out and "nothing is narrowed" in out


def test_emulated_gain_is_checked(folder: Path, capsys: Any) -> None:
    assert explain(folder / "net.onnx", "--tesa", "--emulate", *TARGET) == 0
    out = capsys.readouterr().out
    assert "less) [emulated]" in out and "outputs equal onnxruntime's" in out


def names_of(path: Path) -> list[str]:
    """Names of the convolutions' weights in Relax, as the printed map shows them."""
    from tvm_aie.frontend import from_onnx
    from tvm_aie.tesa.ir import bindings_of, op_name, shape_of

    pairs = bindings_of(from_onnx(str(path))["main"])
    shapes = [(str(v.name), shape_of(v)) for v, c in pairs if op_name(c) == "dequantize"]
    return [name for name, shape in shapes if len(shape) == 4 and shape[2] == 1]


def initializers(path: Path) -> list[str]:
    """Names of the convolutions' weights in the file."""
    return [i.name for i in onnx.load(path).graph.initializer if len(i.dims) == 4]


def test_masks_prune_further(folder: Path, capsys: Any) -> None:
    weight = initializers(folder / "net.onnx")[1]  # by its name in the file; by that in Relax: test_tesa_attribute
    np.savez(folder / "masks.npz", **{weight: (np.arange(32) >= 8).reshape(32, 1, 1, 1)})
    assert explain(folder / "net.onnx", "--tesa", "--masks", folder / "masks.npz", "--emulate", *TARGET) == 0
    out = capsys.readouterr().out
    assert "32x32x1->16x16" in out and "onnxruntime" not in out  # which does not know the masks


def test_wrong_input_is_one_line(folder: Path, capsys: Any) -> None:
    np.savez(folder / "unknown.npz", convolution=np.ones(1))
    np.savez(folder / "shape.npz", **{names_of(folder / "net.onnx")[0]: np.ones((7, 7))})
    for masks, message in (("unknown.npz", "no tensor named convolution"), ("shape.npz", "does not suit"),
                           ("missing.npz", "no such file"), ("net.onnx", "not an .npz file")):  # fmt: skip
        assert explain(folder / "net.onnx", "--tesa", "--masks", folder / masks) == 2
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error and error.count("\n") == 1, error


def test_a_float_network_is_sent_to_quantize(folder: Path, capsys: Any) -> None:
    assert explain(folder / "float.onnx", "--tesa") == 2
    assert "tvm-aie quantize" in capsys.readouterr().err
