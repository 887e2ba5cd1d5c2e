"""The device's numbers that the sub-volume search needs, read once from the device keys (docs/device-keys.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil


@dataclass(frozen=True)
class KernelTerms:
    """Cycles, words per cycle and MACs per cycle; ``ideal``: a kernel costs its MACs and nothing else.

    ``single_blocks``: the last input chunk may be computed and sent output block by output block
    (``schedule.cuts.sends_blocks``); ``keeps``: the input may lie in ACC (``Tiling.kept``); ``joins``: the lines of a
    band may be one (``Tiling.joined``). ``o_link``: words per cycle that the output flows of one column share; infinite
    where each has its own.
    """

    ideal: bool
    single_blocks: bool
    keeps: bool
    joins: bool
    macs_per_cycle: float
    macs_per_cycle_int4: float
    macs_per_cycle_int16: float
    call: float
    a: float
    ii_per_acc: float
    ii_min: float
    gamma: float
    entry: float
    segment: float
    int4_per_acc: float
    int16_per_acc: float
    opcode: float
    add_a: float
    add_ii: float
    max_pool: tuple[float, float]  # per line, per vector of 32 lanes and tap
    avg_pool: tuple[float, float]
    copy_a: float  # of that, per line
    copy: tuple[float, float]  # a copy into ACC, per vector of 32 bytes: UPSAMPLE by 1x1 of one line
    push: float
    bd_write: float
    a_rate: float
    w_rate: float
    ddr: float  # bytes per cycle for all columns; infinite where DDR has no limit
    o_rate: float
    o_link: float

    def stage(self, average: bool, scale: bool) -> tuple[float, float]:
        """Cycles per line, and per vector and tap, of a pool inside a call; a scale is charged as ADD's loop."""
        if scale:
            return self.add_a, self.add_ii
        return self.avg_pool if average else self.max_pool

    def wide(self) -> KernelTerms:
        """The terms of a convolution with int16 activations."""
        return replace(self, macs_per_cycle=self.macs_per_cycle_int16, ii_per_acc=self.int16_per_acc)


def copy_cycles(terms: KernelTerms, slot: int) -> float:
    """Cycles in which a core takes one A slot (bytes), copies it into ACC and gives it back, loop included."""
    return 0.0 if terms.ideal else terms.copy[0] + ceil(slot / 32) * terms.copy[1] + 4 * terms.opcode


def _ddr(keys: Mapping[str, float]) -> float:
    """Bytes per cycle with all columns active."""
    prefix = "ddr.bytes_per_cycle_"
    return keys[f"{prefix}{max(int(key.removeprefix(prefix)) for key in keys if key.startswith(prefix))}"]


def terms_from_keys(keys: Mapping[str, float]) -> KernelTerms:
    """Pick the terms out of the device keys."""
    return KernelTerms(
        ideal=bool(keys["core.ideal"]),
        single_blocks=bool(keys["core.ideal"]),  # where a call costs something, more calls cost more than they save
        keeps=True,
        joins=not keys["core.ideal"],  # where a kernel rounds no pixels up, nothing is saved
        macs_per_cycle=keys["core.macs_per_cycle"],
        macs_per_cycle_int4=keys["core.macs_per_cycle_int4"],
        macs_per_cycle_int16=keys["core.macs_per_cycle_int16"],
        call=keys["kernel.conv.call"],
        a=keys["kernel.conv.a"],
        ii_per_acc=keys["kernel.conv.ii_per_acc"],
        ii_min=keys["kernel.conv.ii_min"],
        gamma=keys["kernel.conv.gamma"],
        entry=keys["kernel.conv.entry"],
        segment=keys["kernel.conv.segment"],
        int4_per_acc=keys["kernel.conv.int4_per_acc"],
        int16_per_acc=keys["kernel.conv.int16_per_acc"],
        opcode=keys["core.opcode_cycles"],
        add_a=keys["kernel.add.a"],
        add_ii=keys["kernel.add.ii"],
        max_pool=(keys["kernel.maxpool.a"], keys["kernel.maxpool.ii"]),
        avg_pool=(keys["kernel.avgpool.a"], keys["kernel.avgpool.ii"]),
        copy_a=keys["kernel.upsample.a"],
        copy=(keys["kernel.upsample.call"] + keys["kernel.upsample.a"], keys["kernel.upsample.ii"]),
        push=keys["cmd.push_queued_cycles"],
        bd_write=keys["cmd.bd_write_cycles"],
        a_rate=keys["flow.a.words_per_cycle"],
        w_rate=keys["flow.w.words_per_cycle"],
        ddr=_ddr(keys) or float("inf"),
        o_rate=keys["flow.o.words_per_cycle"],
        o_link=keys["link.o_bytes_per_cycle"] / 4 or float("inf"),
    )
