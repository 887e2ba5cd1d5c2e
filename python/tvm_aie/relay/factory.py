"""The factory that ``relay.build`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Signature:
    """Names, shapes and types of the inputs, in order; None where the module was loaded from a file."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class LoadedExecutable:
    """An executable bound to a device: what ``GraphModule`` wraps."""

    machine: Any
    device: Any
    signature: Signature | None


class ExecutorFactory:
    """``factory["default"](device)`` binds; ``export_library`` writes a shared library."""

    def __init__(self, executable: Any, name: str = "default", signature: Signature | None = None) -> None:
        """Wrap a compiled or loaded executable."""
        self.executable, self.libmod_name, self.signature = executable, name, signature

    @staticmethod
    def signature_of(mod: Any) -> Signature:
        """The signature of ``main``."""
        params = list(mod["main"].params)
        shapes = tuple(tuple(int(d) for d in p.ty.shape.values) for p in params)
        return Signature(tuple(str(p.name) for p in params), shapes, tuple(str(p.ty.dtype) for p in params))

    def __getitem__(self, name: str) -> Any:
        """The constructor of the bound module."""
        if name != self.libmod_name:
            raise KeyError(f"this library has the entry '{self.libmod_name}', not '{name}'")

        def create(*devices: Any) -> LoadedExecutable:
            import tvm

            device = devices[0] if devices else tvm.cpu()
            return LoadedExecutable(tvm.relax.VirtualMachine(self.executable, device), device, self.signature)

        return create

    def export_library(self, file_name: str | Path, **kwargs: Any) -> None:
        """Write a shared library that ``load_module`` (or ``tvm.runtime.load_module``) reads."""
        self.executable.export_library(str(file_name), **kwargs)

    def get_params(self) -> dict[str, Any]:
        """Empty: weights are part of the library."""
        return {}


def load_module(path: str | Path) -> ExecutorFactory:
    """Read a library that ``export_library`` wrote. Inputs are then set by position: the names are not in the file."""
    import tvm

    return ExecutorFactory(tvm.runtime.load_module(str(path)))
