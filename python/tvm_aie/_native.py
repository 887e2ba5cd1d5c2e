"""Loads ``libtvm_aie.so`` once per process; its functions then are in the TVM-FFI global registry.

Needs ``tvm_ffi`` only: importing ``tvm`` takes seconds and the emulator does not need it.
"""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import tvm_ffi  # before the library: it links against libtvm_ffi, which this import loads

from tvm_aie.errors import TvmAieError

_LIBRARY = "libtvm_aie.so"
_lock = threading.Lock()
_handle: ctypes.CDLL | None = None


def candidates() -> tuple[Path, ...]:
    """Where the library may lie, in order: the developer's build of a source checkout, then the installed one."""
    package = Path(__file__).resolve().parent
    paths = []
    if package.parent.name == "python" and (package.parent.parent / "CMakeLists.txt").is_file():
        paths.append(package.parent.parent / "build" / "dev" / _LIBRARY)
    paths.append(package / "lib" / _LIBRARY)
    # an editable install leaves the Python files in the checkout and puts the library beside the other packages
    paths.append(Path(tvm_ffi.__file__).resolve().parent.parent / "tvm_aie" / "lib" / _LIBRARY)
    return tuple(dict.fromkeys(paths))


def load() -> None:
    """Load the library if this process has not yet done so."""
    global _handle
    with _lock:
        if _handle is not None:
            return
        tried = candidates()
        found = next((path for path in tried if path.is_file()), None)
        if found is None:
            places = ", ".join(map(str, tried))
            raise TvmAieError(f"{_LIBRARY} is missing (looked at {places}); build it with 'make dev-lib'")
        try:
            _handle = ctypes.CDLL(str(found))
        except OSError as error:
            raise TvmAieError(f"cannot load {found}: {error}; rebuild it with 'make dev-lib'") from error


def function(name: str) -> Any:
    """The global function ``name`` of the library, which is loaded first."""
    load()
    return tvm_ffi.get_global_func(name)
