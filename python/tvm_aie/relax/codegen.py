"""``relax.ext.aie2``: partition, lower and compile under an ``aie2`` target; what was compiled stays retrievable."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tvm_ffi
from tvm import relax

from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.relax.fallback import DoesNotFitError, blamed, fitting, planned
from tvm_aie.relax.partition import CODEGEN, OffloadReport, Partition

Backend = Callable[[Sequence[Any], Any], "tuple[list[Any], list[Any]]"]

_log = logging.getLogger("tvm_aie")


@dataclass(frozen=True)
class Compilation:
    """What one compile produced: the report, and per region the layer graph and the compiled stages."""

    report: OffloadReport
    graphs: tuple[Any, ...]
    compiled: tuple[Any, ...]
    device: Any
    eliminations: tuple[Any, ...] = ()  # tesa.eliminate.Elimination per Relax function; empty when switched off


@dataclass
class _State:
    """The compile in progress and the last one finished."""

    backend: Backend | None = None
    target: Any = None
    graphs: tuple[Any, ...] = ()
    compiled: tuple[Any, ...] = ()
    last: Compilation | None = None
    eliminate: bool = True
    partitioning: bool = False  # what does not fit may be left to the host
    misfit: DoesNotFitError | None = None


_STATE = _State()


def set_backend(backend: Backend | None) -> Backend | None:
    """Replace what turns layer graphs into runtime modules; returns the previous one (None: the emulator).

    ``backend(graphs, device) -> (runtime modules, one compile result per graph)``.
    """
    previous, _STATE.backend = _STATE.backend, backend
    return previous


def set_eliminate(enabled: bool) -> bool:
    """Switch the elimination of dead channels and weights on or off (default on); returns the previous setting."""
    previous, _STATE.eliminate = _STATE.eliminate, enabled
    return previous


def last_compilation() -> Compilation | None:
    """The most recent compile for an ``aie2`` target in this process."""
    return _STATE.last


def emulator_backend(graphs: Sequence[Any], device: Any) -> tuple[list[Any], list[Any]]:
    """Compile each layer graph to a ``Program`` and put them in one runtime module.

    Tuning records in scope (``with database:``) are used.
    """
    from tvm_aie.tune.apply import compile_with_records

    importlib.import_module("tvm_aie._native").load()
    compiled = [compile_with_records(graph, device) for graph in graphs]
    create = tvm_ffi.get_global_func("tvm_aie.runtime.create")
    programs = [bytes(c.program.to_bytes()) for c in compiled]
    return [create([graph.name for graph in graphs], programs)], compiled


@tvm_ffi.register_global_func("relax.ext.aie2", override=True)  # type: ignore[untyped-decorator]
def _codegen(functions: Any, _options: Any, _constant_names: Any) -> list[Any]:
    """Called once by ``RunCodegen`` with all external functions of the module."""
    from tvm_aie.plan.lower import lower_named
    from tvm_aie.targets import device_of, remember_errors

    with remember_errors():
        regions = [lower_named(func) for func in functions]
        graphs = [graph for graph, _ in regions]
        device = None if _STATE.target is None else device_of(_STATE.target)
        try:
            modules, compiled = (_STATE.backend or emulator_backend)(graphs, device)
        except (InfeasibleError, ProgramError) as error:
            _STATE.misfit = blamed(error, regions, device) if device is not None and _STATE.partitioning else None
            raise _STATE.misfit or error from error
    _STATE.graphs, _STATE.compiled = tuple(graphs), tuple(compiled)
    return modules


def offload(mod: Any, target: Any) -> Any:
    """Partition ``mod`` and compile its regions for the device of ``target``."""
    from tvm_aie.targets import device_of

    device = device_of(target)
    eliminations: tuple[Any, ...] = ()
    if _STATE.eliminate:
        from tvm_aie.tesa.eliminate import eliminate_dead

        mod, done = eliminate_dead(mod, device.rows)
        eliminations = tuple(done.values())
    # channels and weights that cannot change an output are gone
    split, mod = fitting(mod, partial(_compiled, target), partial(planned, device))
    # every operator is on the array or has a reason; a region is a call of an external function, its program an
    # attached runtime module
    _STATE.last = Compilation(split.report, _STATE.graphs, _STATE.compiled, device, eliminations)
    _log.info("aie2: %d regions, %.1f %% of MACs", split.report.regions, 100 * split.report.mac_share)
    return mod


def _compiled(target: Any, split: Partition) -> Any:
    """The module of a partition with its regions compiled. Raises ``DoesNotFitError``."""
    _STATE.target, _STATE.graphs, _STATE.compiled, _STATE.misfit = target, (), (), None
    _STATE.partitioning = True
    try:
        return relax.transform.RunCodegen()(rename_regions(split.module)).without_attr("const_name_to_constant")
    except Exception:
        if _STATE.misfit is not None:  # TVM's passes keep only an error's message
            raise _STATE.misfit from None
        raise
    finally:
        _STATE.partitioning = False


def rename_regions(mod: Any) -> Any:
    """Give the external functions the symbols ``aie2_0``, ``aie2_1`` ... in the order of their first call."""
    regions = [v for v, f in mod.functions_items() if isinstance(f, relax.Function) and is_region(f)]
    order: list[Any] = []
    for _, func in mod.functions_items():
        if isinstance(func, relax.Function) and not is_region(func):
            for block in func.body.blocks:
                callees = [getattr(binding.value, "op", None) for binding in block.bindings]
                order += [c for c in callees if c in regions and c not in order]
    renamed = mod.clone()
    for index, var in enumerate(order + [v for v in regions if v not in order]):
        renamed[var] = mod[var].with_attr("global_symbol", f"aie2_{index}")
    return renamed


def is_region(func: Any) -> bool:
    """Whether a Relax function is a region for the array."""
    return bool(func.attrs) and func.attrs.get("Codegen", None) == CODEGEN
