"""Run a design on a Ryzen AI NPU and compare with the emulator. Needs numpy and XRT's ``pyxrt``.

    python run.py                        the sample of the folder (sample_input_*.npy, sample_output_*.npy)
    python run.py --input x.npy --save y.npy
    python run.py --times 10             ten inferences in a row, which must agree

It has not been run on an NPU by its authors; the packing of tensors is tested against the emulator's.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
TIMEOUT_MS = 10_000


def channel_map(tensor: dict[str, Any]) -> list[int]:
    """Physical channel of each logical channel, of each of the pixels that are folded into one."""
    channels = tensor["chw"][0] * tensor["fold"]
    found = tensor["channel_map"]
    return list(range(channels)) if found is None else [int(c) for c in found]


def pack(tensor: dict[str, Any], value: npt.NDArray[Any]) -> Bytes:
    """One NCHW image as the array reads it: [row][block of 8 channels][pixel][8], int8.

    ``fold`` pixels of a line are one: the channels of the first, then those of the second, and so on.
    """
    c, h, w = tensor["chw"]
    fold = tensor["fold"]
    blocks = tensor["physical_channels"] // 8
    if value.size != c * h * w or value.dtype != np.dtype(tensor["dtype"]):
        raise SystemExit(f"input is {value.dtype}{list(value.shape)}, wanted {tensor['dtype']}{tensor['shape']}")
    image = np.ascontiguousarray(value).view(np.uint8).reshape(c, h, w)
    if tensor["dtype"] == "uint8":
        image = image ^ np.uint8(128)
    line = -(-w // fold)
    parts = np.pad(image, ((0, 0), (0, 0), (0, line * fold - w))).reshape(c, h, line, fold).transpose(3, 0, 1, 2)
    out = np.zeros((blocks * 8, h, line), np.uint8)
    out[channel_map(tensor)] = parts.reshape(fold * c, h, line)
    return np.ascontiguousarray(out.reshape(blocks, 8, h, line).transpose(2, 0, 3, 1)).reshape(-1)


def unpack(tensor: dict[str, Any], data: Bytes) -> npt.NDArray[Any]:
    """The inverse of ``pack``."""
    c, h, w = tensor["chw"]
    blocks = tensor["physical_channels"] // 8
    image = data[: blocks * 8 * h * w].reshape(h, blocks, w, 8).transpose(1, 3, 0, 2).reshape(blocks * 8, h, w)
    image = np.ascontiguousarray(image[channel_map(tensor)])
    if tensor["dtype"] == "uint8":
        image = image ^ np.uint8(128)
    assert image.size == c * h * w
    result: npt.NDArray[Any] = image.view(np.dtype(tensor["dtype"])).reshape(tensor["shape"])
    return result


class Device:
    """The design loaded on the NPU, with one buffer per argument."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        """Load design.xclbin and the instructions of both sequences."""
        self.xrt = import_module("pyxrt")
        self.handle = self.xrt.device(0)
        xclbin = self.xrt.xclbin(str(folder / "design.xclbin"))
        self.handle.register_xclbin(xclbin)
        self.context = self.xrt.hw_context(self.handle, xclbin.get_uuid())
        name = next(k.get_name() for k in xclbin.get_kernels() if "MLIR_AIE" in k.get_name())
        self.kernel = self.xrt.kernel(self.context, name)
        self.programs = {s: self._instructions(folder / f"main_{s}.bin") for s in ("configure", "infer")}
        self.buffers = [
            self.xrt.bo(self.handle, max(4, a["bytes"]), self.xrt.bo.host_only, self.kernel.group_id(3 + a["index"]))
            for a in manifest["arguments"]
        ]

    def _instructions(self, path: Path) -> tuple[Any, int]:
        data = np.fromfile(path, np.uint8)
        bo = self.xrt.bo(self.handle, data.size, self.xrt.bo.cacheable, self.kernel.group_id(1))
        bo.write(data, 0)
        bo.sync(self.xrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)
        return bo, data.size

    def write(self, index: int, data: Bytes) -> None:
        """Fill an argument."""
        self.buffers[index].write(data, 0)
        self.buffers[index].sync(self.xrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)

    def read(self, index: int, size: int) -> Bytes:
        """Contents of an argument."""
        self.buffers[index].sync(self.xrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE)
        return np.frombuffer(bytes(self.buffers[index].read(size, 0)), np.uint8)

    def run(self, sequence: str) -> None:
        """Run one sequence to its end."""
        bo, size = self.programs[sequence]
        state = self.kernel(3, bo, size, *self.buffers).wait(TIMEOUT_MS)
        if state != self.xrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED:
            raise SystemExit(f"sequence {sequence} ended as {state}")


def infer(folder: Path, inputs: list[npt.NDArray[Any]], times: int = 1) -> list[npt.NDArray[Any]]:
    """Bring the overlay to its initial state, then run the command stream: each inference leaves the array ready."""
    manifest = json.loads((folder / "manifest.json").read_text())
    device = Device(folder, manifest)
    device.write(0, np.fromfile(folder / "weights.bin", np.uint8))
    wanted = [t for t in manifest["tensors"] if t["kind"] == "input"]
    if len(wanted) != len(inputs):
        raise SystemExit(f"{len(inputs)} inputs, wanted {len(wanted)}")
    area = np.zeros(max(4, manifest["arguments"][1]["bytes"]), np.uint8)
    for tensor, value in zip(wanted, inputs, strict=True):
        packed = pack(tensor, value)
        area[tensor["offset"] : tensor["offset"] + packed.size] = packed
    device.write(1, area)
    device.run("configure")
    device.run("infer")
    out = device.read(2, manifest["arguments"][2]["bytes"])
    for n in range(1, times):
        device.run("infer")
        if not np.array_equal(device.read(2, manifest["arguments"][2]["bytes"]), out):
            raise SystemExit(f"inference {n + 1} differs from the first")
    return [unpack(t, out[t["offset"] :]) for t in manifest["tensors"] if t["kind"] == "output"]


def main() -> int:
    """Feed an input, compare with the emulator's output when there is one."""
    parser = argparse.ArgumentParser(description="Run the design of this folder on an NPU.")
    parser.add_argument("--input", action="append", help="input tensor, .npy; repeatable (default: the sample)")
    parser.add_argument("--times", type=int, default=1, help="inferences in a row, which must agree")
    parser.add_argument("--save", help="write the first output here, .npy")
    args = parser.parse_args()
    folder = Path(__file__).resolve().parent
    files = args.input or [str(p) for p in sorted(folder.glob("sample_input_*.npy"))]
    outputs = infer(folder, [np.load(f) for f in files], args.times)
    if args.save:
        np.save(args.save, outputs[0])
    if args.input:
        return 0
    expected = [np.load(p) for p in sorted(folder.glob("sample_output_*.npy"))]
    same = [np.array_equal(a, b) for a, b in zip(outputs, expected, strict=True)]
    print("equal to the emulator" if all(same) else f"differs from the emulator: {same}")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
