"""Time of one item under one tiling, in closed form: what the sub-volume search minimises (estimated).

A core's loop nest is a pipeline of three servers (input channel, core, output link) with finite rings between them, fed
by a fourth (the weight stream). In steady state its period is that of the slowest circuit, so with, per kernel call,
``a`` cycles of input, ``c`` of compute and, per output message (``n`` calls), ``o`` of output, an item takes

    prologue + max over the circuits below, each with the fill before it and the drain after it:

    input channel     calls * a                  + c + o
    cores             a + calls * c              + o
    output link       a + n * c + outputs * o
    one input slot    calls * (a + c)            + o      the ring holds one message: no double buffering (but filler)
    blocks one by one a + (outputs - 1) * (compute or what the ring does not take of an output) + the last one
    last pass          passes - 1 of max(input, compute) + max(input, what the last pass computes) + o
    input kept        + its slots, each sent or copied, and the copy of the last one
    one output slot   a + outputs * (n * c + o)           likewise; with both, the two waits of a message overlap
    weight ring       + messages * what of two messages exceeds the ring: that part cannot be sent ahead
    weight stream     bytes / rate, and of all core rows / DDR's rate, less what the rings hold from before

Sources: docs/program.md section 4 (segments, locks, links). ``cost.estimate`` is the same pipeline message by message
and across items; tests compare both with the emulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.schedule.geometry import WORD, Overlay
from tvm_aie.schedule.terms import KernelTerms, copy_cycles

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PipelineLoad:
    """One item on the busiest column. Slots are per message; ``compute``: cycles of the slowest core, all calls.

    ``n_ck``: calls per output message; ``output_slots``: slots that all rows of a column send.
    ``blocks``: output messages per pass and piece, sent while the last call goes on; 0: one, after it.
    ``passes``: over the output blocks, and the share of the compute cycles that the last of them has.
    ``kept``: A slots that are copied into ACC before the messages.
    ``weights``: bytes of the largest message and of the whole stream of a row; ``weight_messages``: their number;
    ``rows``: of cores, whose streams share DDR.
    """

    outputs: int
    n_ck: int
    a_slots: int
    o_slots: int
    resident: bool
    compute: float
    output_slots: float
    weights: tuple[int, int]
    weight_messages: int
    aligned: bool
    blocks: int = 0
    passes: tuple[int, float] = (1, 1.0)
    kept: int = 0
    rows: int = 1


def pipeline_cycles(load: PipelineLoad, ov: Overlay, terms: KernelTerms) -> float:
    """Cycles from an item's barrier to the end of its last output, without the command processor."""
    calls, n = load.outputs * load.n_ck, load.n_ck
    slot = ov.a_slot / WORD / terms.a_rate
    a, c = slots_with_filler(load.a_slots, ov.a_slots, calls) * slot, load.compute / calls
    one = load.a_slots * slot  # without filler, which enters the ring while a message is held
    word_o = ov.o_slot / WORD
    junk = slots_with_filler(load.o_slots, ov.o_slots, load.outputs) / load.o_slots
    own, shared = load.outputs * load.o_slots / terms.o_rate, load.output_slots / terms.o_link
    own *= load.blocks or 1
    outputs_total = word_o * junk * max(own, shared)
    o = outputs_total / load.outputs
    if load.blocks:
        # The core goes on while the ring takes what it computes; one block drains behind the last call.
        ring = o * ov.o_slots / (load.o_slots * load.blocks)
        between = max(o, (n - 1) * c + max(c, o - ring))
        last = max(c + o / load.blocks, c / load.blocks + o)
        body = a + (load.outputs - 1) * between + (n - 1) * c + last
        drain = o / load.blocks
    else:
        body, drain = max(a + load.compute + o, a + n * c + outputs_total), o
    single_a = 2 * load.a_slots > ov.a_slots and not load.resident
    single_o = 2 * load.o_slots > ov.o_slots and not load.blocks
    if not load.resident:
        body = max(body, calls * a + c + drain)
        (n_pass, share), sent = load.passes, a * calls / load.passes[0]
        full = max(sent, load.compute * (1 - share) / max(n_pass - 1, 1)) * (n_pass - 1)
        body = max(body, full + max(sent, load.compute * share) + min(a, c) + drain)
    if single_a:
        body = max(body, calls * (one + max(c, a - one)) + drain)
    if single_o:
        single = o / junk
        between = max(one, single) if single_a else single
        inside = load.outputs * (n - 1) * one if single_a else 0.0
        computes = load.outputs * max(n * c, o - single)
        body = max(body, a + computes + inside + (load.outputs - 1) * between + single)
    largest, total = load.weights
    ring = ov.w_slot * ov.w_slots
    if load.weight_messages > 1:
        body += (load.weight_messages - 1) * max(0, 2 * largest - ring) / WORD / terms.w_rate
    if load.kept:
        copy = copy_cycles(terms, ov.a_slot)
        body += load.kept * max(slot, copy) + copy
    body = max(body, total / WORD / terms.w_rate, total * load.rows / terms.ddr)
    # Aligned: the opcode message is padded until the ring position divides into messages, half a message on average.
    return body + (1 + ((load.a_slots - 1) / 2 if load.aligned else 0)) * slot


def slots_with_filler(size: int, ring: int, messages: int) -> float:
    """Slots per message of ``size`` in a ring of ``ring`` slots: what is left before the ring's end is filled."""
    fit = ring // size
    turns = -(-messages // fit) - 1
    return size + turns * (ring - fit * size) / messages


@dataclass(frozen=True)
class PipelineColumns:
    """Many ``PipelineLoad``s of one item: a column per field. Each output message is sent as one (``blocks`` 0)."""

    outputs: Ints
    n_ck: Ints
    a_slots: Ints
    o_slots: Ints
    resident: npt.NDArray[np.bool_]
    compute: Floats
    output_slots: Ints
    largest_weights: Ints
    weights: Ints
    weight_messages: Ints
    n_pass: Ints
    last_share: Floats
    kept: Ints
    aligned: bool
    rows: int = 1


def pipeline_columns(load: PipelineColumns, ov: Overlay, terms: KernelTerms) -> Floats:
    """``pipeline_cycles`` of each, to the last bit: the same operations in the same order."""
    outputs, n, resident = load.outputs, load.n_ck, load.resident
    calls = outputs * n
    slot = ov.a_slot / WORD / terms.a_rate
    a, c = _with_filler(load.a_slots, ov.a_slots, calls) * slot, load.compute / calls
    one = load.a_slots * slot
    junk = _with_filler(load.o_slots, ov.o_slots, outputs) / load.o_slots
    own, shared = outputs * load.o_slots / terms.o_rate, load.output_slots / terms.o_link
    outputs_total = ov.o_slot / WORD * junk * np.maximum(own, shared)
    o = outputs_total / outputs
    body = np.maximum(a + load.compute + o, a + n * c + outputs_total)
    body = np.where(resident, body, np.maximum(body, calls * a + c + o))
    n_pass, share, sent = load.n_pass, load.last_share, a * calls / load.n_pass
    full = np.maximum(sent, load.compute * (1 - share) / np.maximum(n_pass - 1, 1)) * (n_pass - 1)
    passes = full + np.maximum(sent, load.compute * share) + np.minimum(a, c) + o
    body = np.where(resident, body, np.maximum(body, passes))
    single_a = (2 * load.a_slots > ov.a_slots) & ~resident
    single_o = 2 * load.o_slots > ov.o_slots
    body = np.where(single_a, np.maximum(body, calls * (one + np.maximum(c, a - one)) + o), body)
    waits = single_slot_waits(single_a, one, a, c, o, o / junk, outputs, n)
    body = np.where(single_o, np.maximum(body, waits), body)
    excess = np.maximum(0, 2 * load.largest_weights - ov.w_slot * ov.w_slots)
    body = body + (load.weight_messages - 1) * excess / WORD / terms.w_rate
    if load.kept.any():
        copy = copy_cycles(terms, ov.a_slot)
        body = body + np.where(load.kept > 0, load.kept * max(slot, copy) + copy, 0.0)
    body = np.maximum(body, np.maximum(load.weights / WORD / terms.w_rate, load.weights * load.rows / terms.ddr))
    return np.asarray(body + (1 + ((load.a_slots - 1) / 2 if load.aligned else 0)) * slot)


def _with_filler(size: Ints, ring: int, messages: Ints) -> Floats:
    fit = ring // size
    turns = -(-messages // fit) - 1
    return np.asarray(size + turns * (ring - fit * size) / messages)


def single_slot_waits(
    single_a: Bools, one: Reals, a: Reals, c: Reals, o: Reals, drain: Reals, outputs: Ints, n: Ints
) -> Floats:
    """Cycles of candidates whose output ring holds one message: each waits until the one before has left.

    ``single_a``: the input ring holds one message too, which takes ``one`` cycles; ``a``, ``c``, ``o``: input and
    compute of a call, an output with the filler behind it, of which ``drain`` is the message; ``n``: calls each.
    """
    between = np.where(single_a, np.maximum(one, drain), drain)
    inside = np.where(single_a, outputs * (n - 1) * one, 0.0)
    computes = outputs * np.maximum(n * c, o - drain)
    return np.asarray(a + computes + inside + (outputs - 1) * between + drain)
