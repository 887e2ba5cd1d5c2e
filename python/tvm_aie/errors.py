"""The one error hierarchy. ``cli.main`` catches ``TvmAieError`` once and prints the message only."""

from __future__ import annotations

from collections.abc import Mapping


class TvmAieError(Exception):
    """A mistake of the user or a limit of the device; the message names the thing, the limit and what to do.

    ``exit_code`` is what the command line returns for it.
    """

    exit_code = 1


class InputError(TvmAieError):
    """A file, tensor or option that cannot be used."""

    exit_code = 2


class ModelError(InputError):
    """An ONNX network that cannot be read (missing, truncated, dynamic shape, ...)."""

    exit_code = 3


class DeviceError(TvmAieError):
    """An unknown target, or a device file with a missing, unknown or impossible value."""

    exit_code = 4


class InfeasibleError(TvmAieError):
    """Something does not fit: carries demand, bound, unit and the levers that would make it fit.

    ``layers``: where it is known which layers of a network no schedule makes fit, the error of each by its name.
    """

    exit_code = 5

    def __init__(
        self,
        what: str,
        demand: float,
        bound: float,
        unit: str,
        levers: tuple[str, ...] = (),
        layers: Mapping[str, InfeasibleError] | None = None,
    ) -> None:
        """``demand`` and ``bound`` in ``unit``; ``levers``: what the user can change."""
        self.what, self.demand, self.bound, self.unit, self.levers = what, demand, bound, unit, levers
        self.layers: Mapping[str, InfeasibleError] = layers or {}
        hint = f"; {' or '.join(levers)}" if levers else ""
        super().__init__(f"{what}: needs {demand:g} {unit}, limit {bound:g} {unit}{hint}")

    @staticmethod
    def of(layers: Mapping[str, InfeasibleError]) -> InfeasibleError:
        """The error of a network with these layers, named after the first of them."""
        name, first = next(iter(layers.items()))
        what = first.what if first.what.startswith(f"layer {name}:") else f"layer {name}: {first.what}"
        return InfeasibleError(what, first.demand, first.bound, first.unit, first.levers, layers)


class ProgramError(TvmAieError):
    """A program that violates a hardware limit, or whose bytes are damaged."""

    exit_code = 6


class EmulationFault(TvmAieError):
    """The emulator stopped: deadlock, race, read of never-written memory, descriptor out of range."""

    exit_code = 7


class PlanWarning(RuntimeWarning):
    """A program that the compiler made was refused or stopped when it was tried: a fault of the compiler.

    Another plan is taken, so the network still compiles; please report it.
    """
