"""tvm-aie: an Apache TVM backend for AMD AIE2 arrays. Importing this package imports neither TVM nor the compiler."""

from __future__ import annotations

__version__ = "0.1.0"


def _autoload() -> None:
    """Entry point of the group ``tvm.backends``: TVM calls it at the end of ``import tvm``."""
    try:
        from tvm_aie.targets import install
    except ImportError as error:
        raise RuntimeError(f"target aie2 is not available: {error}; reinstall tvm-aie with its pinned TVM") from error
    install()
