"""The hook into TVM: target tags, the default pipeline under an ``aie2`` target, and the refusal of others.

Runs during ``import tvm``: everything else of this package is imported when a network is compiled.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tvm_aie.errors import DeviceError, TvmAieError

KEY = "aie2"
MAX_SIDE = 8
MAX_MEMTILES = 4
_raised: list[TvmAieError] = []  # our errors on their way through TVM's passes, which keep only the message
_INSTALLED = "_tvm_aie_installed"


def tag_models() -> Iterator[tuple[str, str]]:
    """``(tag, device name)`` of every target tag."""
    yield "aie2", "npu1"
    yield "aie2/npu1", "npu1"
    for rows in range(1, MAX_SIDE + 1):
        for cols in range(1, MAX_SIDE + 1):
            for suffix in ("", *(f"-m{m}" for m in range(1, MAX_MEMTILES + 1))):
                model = f"wbs-{rows}x{cols}{suffix}"
                yield f"aie2/{model}", model


def is_aie2(target: Any) -> bool:
    """True for a TVM target, tag or configuration of this backend."""
    if target is None:
        return False
    if isinstance(target, str):
        return target == KEY or target.startswith("aie2/") or '"aie2' in target
    if isinstance(target, dict):
        return str(target.get("tag", "")).split("/")[0] == KEY or KEY in target.get("keys", ())
    return KEY in list(target.keys)


def device_of(target: Any) -> Any:
    """The ``Device`` that a target names: a known model or the path of a device file."""
    from tvm_aie.device import load_device

    return load_device(str(target.attrs.get("model", "npu1")))


def as_target(target: Any) -> Any:
    """A TVM target; an unknown ``aie2`` tag is a ``DeviceError`` that lists the known ones."""
    from tvm.target import Target

    tag = target.get("tag") if isinstance(target, dict) else target
    if isinstance(tag, str) and tag.startswith("aie2/") and tag not in dict(tag_models()):
        raise DeviceError(
            f"unknown target {tag}: use aie2, aie2/npu1, aie2/wbs-RxC with R and C from 1 to {MAX_SIDE} "
            f"and optionally -mM with M from 1 to {MAX_MEMTILES}, "
            'or Target({"tag": "aie2", "model": "path/to/device.toml"})'
        )
    return target if isinstance(target, Target) else Target(target)


@contextmanager
def remember_errors() -> Iterator[None]:
    """Keep an error of ours that crosses TVM's pass manager, so that the caller of ``build`` sees its type."""
    try:
        yield
    except TvmAieError as error:
        _raised.append(error)
        raise


def _register_tags() -> None:
    from tvm.target.tag_registry import registry

    for tag, model in tag_models():
        registry.register_tag(tag, {"kind": "llvm", "keys": [KEY, "cpu"], "device": KEY, "model": model}, override=True)


def _wrap_default_pipeline() -> None:
    import tvm
    from tvm.relax import pipeline

    original = pipeline.PIPELINE_MAP["default"]

    def default_pipeline(**kwargs: Any) -> Any:
        rest = original(**kwargs)

        @tvm.transform.module_pass(opt_level=0, name="aie2.default_pipeline")  # type: ignore[untyped-decorator]
        def run(mod: Any, _context: Any) -> Any:
            target = tvm.target.Target.current(allow_none=True)
            if is_aie2(target):
                from tvm_aie.relax.codegen import offload

                with remember_errors():
                    mod = offload(mod, target)
            return rest(mod)

        return run

    pipeline.PIPELINE_MAP["default"] = functools.wraps(original)(default_pipeline)


def _wrap_build() -> None:
    """An explicit pipeline would bypass the hook and compile everything for the CPU: refuse it."""
    import tvm
    from tvm.relax import vm_build

    original: Callable[..., Any] = vm_build.build

    @functools.wraps(original)
    def build(mod: Any, target: Any = None, params: Any = None, relax_pipeline: Any = "default", *args: Any,
              **kwargs: Any) -> Any:  # fmt: skip
        effective = tvm.target.Target.current(allow_none=True) if target is None else target
        if is_aie2(effective):
            if relax_pipeline != "default":
                raise DeviceError(
                    "target aie2 compiles with its own pipeline: leave out relax_pipeline "
                    f"(got {relax_pipeline!r}), or name a CPU target to compile for the CPU"
                )
            target = as_target(effective)
        _raised.clear()
        try:
            return original(mod, target, params, relax_pipeline, *args, **kwargs)
        except Exception:
            if _raised:
                raise _raised[0] from None
            raise

    vm_build.build = build
    tvm.relax.build = build


def _load_runtime() -> None:
    """Make exported libraries loadable in this process; without the native library only that is missing."""
    try:
        native = importlib.import_module("tvm_aie._native")
    except ImportError:
        return
    try:
        native.load()
    except Exception as error:
        message = f"tvm-aie: the emulator library cannot be loaded ({error}); compiled networks will not run"
        warnings.warn(message, stacklevel=2)


def _wrap_load() -> None:
    """The dynamic loader kills the process on a truncated library: look at the file first."""
    from tvm.runtime import module

    original: Callable[..., Any] = module._load_module

    @functools.wraps(original)
    def load(path: Any, *args: Any, **kwargs: Any) -> Any:
        from tvm_aie.runtime.library import check_library

        check_library(path)
        return original(path, *args, **kwargs)

    module._load_module = load


def install() -> None:
    """Register everything once per process."""
    import tvm

    if getattr(tvm, _INSTALLED, False):
        return
    setattr(tvm, _INSTALLED, True)
    _load_runtime()
    _wrap_load()
    if tvm.base._RUNTIME_ONLY:
        return
    _register_tags()
    _wrap_default_pipeline()
    _wrap_build()
    from tvm_aie.relay.install import install_namespace

    install_namespace()
