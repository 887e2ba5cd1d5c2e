"""``run --check`` on a network with float LRN between two regions compares region by region."""

import onnx

from tvm_aie.cli import main
from tvm_aie.cli.models import OutputMatch
from tvm_aie.cli.regions import compare_regions, float_between_regions
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.quantize import quantize


def lrn_network() -> onnx.ModelProto:
    b = NetBuilder("lrn", (1, 8, 9, 9), 0)
    x = b.relu(b.conv("data", 16))
    y = b.op("LRN", [x], size=5, alpha=1e-4, beta=0.75, bias=1.0)
    b.channels[y] = 16
    b.conv(y, 8)
    return quantize(b.model())


def test_regions_are_exact_on_their_own(tmp_path, monkeypatch, capsys):
    path = tmp_path / "lrn.onnx"
    onnx.save(lrn_network(), path)
    assert main.main(["run", str(path), "--check", "--quiet"]) == 0
    assert "equal to onnxruntime's" in capsys.readouterr().out
    # As if the float operator had differed in the last bit: the regions still prove the array right.
    from tvm_aie.cli import service

    wrong = (OutputMatch("y", 1, 1, 1.0, 0.0),)
    monkeypatch.setattr(service, "compare", lambda *a: wrong)
    assert main.main(["run", str(path), "--check", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.count("region fed onnxruntime's tensors]: all ") == 2


def test_a_wrong_region_is_found(monkeypatch, tmp_path):
    from tvm_aie.cli import regions, service
    from tvm_aie.cli.progress import Progress

    path = tmp_path / "lrn.onnx"
    onnx.save(lrn_network(), path)
    network = service.compile_network(path, "aie2", Progress(True), {})
    inputs = service.inputs_for(network, None, 0)
    real = regions.quantised_tensors

    def shifted(model, feeds):
        values = real(model, feeds)
        return {k: v + 1 if k == network.compilation.graphs[0].inputs[0].tensor else v for k, v in values.items()}

    monkeypatch.setattr(regions, "quantised_tensors", shifted)
    assert any(not m.ok for m in compare_regions(network.model, inputs, network.compilation.compiled))


def test_only_between_regions():
    class Op:
        kind = "lrn"

    assert float_between_regions([Op()], 1) == ()
    assert float_between_regions([Op()], 2) == ("lrn",)
