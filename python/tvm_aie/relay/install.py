"""Installs the compatibility namespace into TVM, lazily and only where TVM has none."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_ALIASES = {"tvm.relay": "tvm_aie.relay", "tvm.relay.frontend": "tvm_aie.relay.frontend",
            "tvm.contrib.graph_executor": "tvm_aie.relay.graph_executor"}  # fmt: skip


class _AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last on ``sys.meta_path``: a real ``tvm.relay`` is found before it."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """A spec for the aliases only."""
        if fullname not in _ALIASES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == "tvm.relay")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """A module with the names of the real one."""
        real = importlib.import_module(_ALIASES[spec.name])
        alias = ModuleType(spec.name, real.__doc__)
        alias.__dict__.update({k: v for k, v in vars(real).items() if not k.startswith("__")})
        return alias

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: the names are copied."""


def install_namespace() -> None:
    """Make ``from tvm import relay`` and ``from tvm.contrib import graph_executor`` work."""
    if any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        return
    sys.meta_path.append(_AliasFinder())
