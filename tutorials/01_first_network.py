"""Lesson 1: a quantised network on the emulated array, in TVM's own words.

    python tutorials/01_first_network.py

Ends with an equality, not a tolerance: the array's integers are onnxruntime's.
"""

# %% A network. Any XINT8 file does; here SqueezeNet with seeded weights, from the onnx wheel: no download.
import tempfile
from pathlib import Path

import numpy as np
import onnx

from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize

path = Path(tempfile.mkdtemp()) / "squeezenet_int8.onnx"
onnx.save(quantize(light_model("squeezenet", seed=0)), path)

# %% Compile. `import tvm` is enough to make the target known.
import tvm

from tvm_aie.frontend import from_onnx

mod = from_onnx(path)
exe = tvm.compile(mod, target="aie2")

# %% Run. The virtual machine calls the emulator for the array's part and TVM's own code for the rest.
x = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
vm = tvm.relax.VirtualMachine(exe, tvm.cpu())
result = vm["main"](tvm.runtime.tensor(x))
y = (result if hasattr(result, "numpy") else result[0]).numpy()

# %% What ran where, and why not on the array.
from tvm_aie.relax import last_compilation

record = last_compilation()
print(f"{100 * record.report.mac_share:.2f} % of the MACs on {record.device.name}")
for op in record.report.host_ops:
    print(f"  on the CPU: {op.name} ({op.kind}): {op.reason}")

# %% How long the array took: emulated cycles, the same on every run and every machine.
from tvm_aie.runtime.emulator import last_profile

(run,) = last_profile().values()
print(f"{run.total_cycles} cycles, {record.device.cycles_to_ms(run.total_cycles):.3f} ms [emulated]")

# %% The proof.
import onnxruntime

options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(str(path), options)
(expected,) = session.run(None, {session.get_inputs()[0].name: x})
assert np.array_equal(y, expected)
print("equal to onnxruntime in all", y.size, "values")
