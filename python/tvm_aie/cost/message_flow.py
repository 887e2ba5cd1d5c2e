"""How messages move through the array inside items: the recurrence of ``cost.estimate``, in the library (estimated).

``MessageFlow`` is the state between items of activation channels, weight streams, cores and output links
(tvm_aie/cost/message_flow.h). An item's arrays go to the library once, as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie import _native
from tvm_aie.cost.item_load import ItemLoad, Rates
from tvm_aie.emit.division import Staying
from tvm_aie.emit.overlay import Array

Floats = npt.NDArray[np.float64]


class FlowLoad:
    """What an item puts on the machine, as the library reads it."""

    def __init__(self, load: ItemLoad, barrier: Sequence[int]) -> None:
        """``barrier``: of each column, words that follow the opcodes.

        The library checks the sizes, and that steps take no more messages than there are.
        """
        words = [a + b for a, b in zip(load.prologue_words, barrier, strict=True)]
        columns = np.array([words, load.a_counts, load.kept], np.int64)
        floats, ints = np.float64, np.int64
        tensors = [_tensor(load.locks, np.uint8), _tensor(load.kernel, floats), _tensor(load.a_move, floats)]
        tensors += [_tensor(sizes, ints) for sizes in (load.a_sizes, load.w_bytes, load.o_sizes)]
        tensors += [_tensor(load.o_rest, floats), _tensor(columns, ints)]
        rings = _rings(*load.divided) if load.divided else []
        make = _function("tvm_aie.cost.flow_load")
        self.native = make(tensors, load.a_slots, load.o_slots, load.aligned, rings)


class MessageFlow:
    """Items one after the other: ``opcodes``, then ``run``. Times in cycles, arrays over the columns."""

    def __init__(self, array: Array, rates: Rates, ahead: bool) -> None:
        """``ahead``: the weight rings are full, as the streams have run on since the inference before."""
        ov, slot = array.overlay, array.overlay.memtile_w_slot
        sizes = [ov.w_slot * ov.w_slots, slot * ov.memtile_w_slots, slot, rates.w, rates.loadw]
        weights = _tensor(np.array(sizes), np.float64)
        make = _function("tvm_aie.cost.message_flow")
        self.native = make(array.cols, array.rows, rates.o_shared, weights, ahead, *_rings(array, rates))

    def copy(self) -> MessageFlow:
        """An independent state."""
        other = object.__new__(MessageFlow)
        other.native = _function("tvm_aie.cost.flow_copy")(self.native)
        return other

    def opcodes(self, load: FlowLoad, begin: Floats | None = None) -> Floats:
        """When the next item's opcode message is there, which may go at ``begin``; without, behind the activations of
        the item before."""
        return _array(self.native.opcodes(load.native, None if begin is None else _tensor(begin, np.float64)))

    def run(self, load: FlowLoad, ready: Floats, command: float, lag: bool, stays: Staying, follows: bool) -> None:
        """The item.

        ``ready``: when its first messages may go, if the commands for them, until ``command``, are done. ``lag``: its
        barrier does; ``stays``: rings of the item before that it keeps; ``follows``: the next item's barrier lags.
        """
        begin = _tensor(ready, np.float64)
        self.native.run(load.native, begin, command, lag, stays.a, stays.o, follows)

    def done(self, item: int) -> Floats:
        """When the data of an item's outputs are complete, items counted from 0."""
        return _array(self.native.done(item))

    def ended(self, item: int) -> float:
        """When all that the cores send in an item has ended; 0: not known, as a lagging item follows."""
        return float(self.native.ended(item))

    def delay(self, end: float) -> None:
        """The commands of the last item, which no lagging one follows, end at ``end``, and with them the item."""
        self.native.delay(end)

    @property
    def a_free(self) -> Floats:
        """When the activation channels are free."""
        return _array(self.native.a_free())

    @property
    def core(self) -> Floats:
        """When each core is done with the last item: (columns, rows)."""
        return _array(self.native.core())

    @property
    def o_end(self) -> Floats:
        """When each core's outputs have ended, up to the last item that no lagging one follows: (columns, rows)."""
        return _array(self.native.o_end())


@cache
def _function(name: str) -> Any:
    return _native.function(name)


def _tensor(values: npt.NDArray[Any], dtype: type) -> Any:
    import tvm_ffi

    return tvm_ffi.from_dlpack(np.ascontiguousarray(values, dtype))


def _array(tensor: Any) -> Floats:
    return np.asarray(np.from_dlpack(tensor), np.float64)


def _rings(array: Array, rates: Rates) -> list[Any]:
    """Rings of core memory: bytes of an A slot, A slots, O slots; cycles of an A slot, of an O slot."""
    ov = array.overlay
    sizes, cycles = np.array([ov.a_slot, ov.a_slots, ov.o_slots]), np.array([rates.a_slot, rates.o_slot])
    return [_tensor(sizes, np.int64), _tensor(cycles, np.float64)]
