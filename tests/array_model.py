"""A functional model of the array in Python, to run the superkernel in its array form (the C++ that a core compiles).

Descriptors, locks, streams and the command stream of a ``Program`` without time; a core is a thread in the compiled
superkernel, whose lock operations come back here. Shares no code with the emulator.
"""

from __future__ import annotations

import ctypes
import subprocess
import threading
from collections import deque
from pathlib import Path

import numpy as np

from tvm_aie.emit.program import Bd, Dir, Program, Push, SetLock, TileKind, Wait, WriteBd

OWN_LOCKS = 48  # a core's own locks as its program numbers them
AREAS = ("ops", "hdr", "acc", "o", "w", "a")
SIZES = ("ops_bytes", "hdr_bytes", "acc_bytes", "o_slot", "o_slots", "w_slot", "w_slots", "a_slot", "a_slots")
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int)

# What the array's compiler provides: the vector API (here the host's), modes, and the lock operations.
HEADER = """
#pragma once
#include "host_api.h"
namespace aie {
enum class rounding_mode { conv_even };
enum class saturation_mode { saturate };
inline void set_rounding(rounding_mode) {}
inline void set_saturation(saturation_mode) {}
}
void acquire_greater_equal(int lock, int value);
void release(int lock, int value);
"""
LOCKS = """
extern "C" {
void (*on_acquire)(int, int);
void (*on_release)(int, int);
}
void acquire_greater_equal(int lock, int value) { on_acquire(lock, value); }
void release(int lock, int value) { on_release(lock, value); }
"""


def compile_core(kernels: Path, build: Path) -> Path:
    """The sources of a design folder's ``kernels/`` as its makefile compiles them, over the host's vector API."""
    (build / "aie_api").mkdir(parents=True, exist_ok=True)
    api = (kernels / "kernels" / "aie_api.h").read_text()
    (build / "host_api.h").write_text(api.replace("#ifdef TVM_AIE_ON_ARRAY", "#if 0"))
    (build / "aie_api" / "aie.hpp").write_text(HEADER)
    (build / "locks.cc").write_text(LOCKS)
    used = next(x for x in (kernels / "Makefile").read_text().splitlines() if x.startswith("USED_KERNELS")).split()[-1]
    command = ["g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra"]
    command += ["-Werror", "-DTVM_AIE_ON_ARRAY", "-DNDEBUG", f"-DTVM_AIE_USED_KERNELS={used}"]
    command += ["-I", str(kernels / "include"), "-I", str(kernels), "-I", str(build)]
    sources = sorted((kernels / "kernels").glob("*.cc"))
    library = build / "core.so"
    done = subprocess.run(
        [*command, *map(str, sources), str(build / "locks.cc"), "-o", str(library)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return library


class _Channel:
    def __init__(self, tile: int, direction: Dir, ch: int) -> None:
        self.key = (tile, direction, ch)
        self.tasks: deque[tuple[int, int]] = deque()
        self.words: deque[np.ndarray] = deque()  # S2MM: what has arrived
        self.held = 0
        self.to: list[_Channel] = []
        self.bd = -1  # descriptor to execute next; -1: none
        self.left = 0
        self.done = 0


class Array:
    """An array with a program: ``run(inputs) -> bytes of the output argument``; a resident one runs again and again."""

    def __init__(self, program: Program, library: Path) -> None:
        self.p = program
        self.lib = ctypes.CDLL(str(library))
        self.changed = threading.Condition()
        self.memory: dict[int, np.ndarray] = {}
        self._keep: list[np.ndarray] = []
        for i, tile in enumerate(program.tiles):
            if tile.kind != TileKind.SHIM:
                self.memory[i] = self._aligned(tile.mem_bytes)
        self.ddr = [np.zeros(max(4, n), np.uint8) for n in program.ddr_sizes]
        self.locks = {(u.tile, u.lock): u.value for u in program.lock_init}
        self.channels: dict[tuple[int, Dir, int], _Channel] = {}
        for flow in program.flows:
            source = self._channel(flow.src[0], Dir.MM2S, flow.src[1])
            source.to = [self._channel(t, Dir.S2MM, c) for t, c in flow.dsts]
        self.descriptors: dict[tuple[int, int], tuple[Bd, list[int]]] = {}
        self.core_of: dict[int, int] = {}
        self.halted = 0
        self.waiting: dict[int, tuple[tuple[int, int], int]] = {}  # by core tile: lock and value
        self.first: dict[int, tuple[int, int]] = {}  # by core tile: the lock with which its first message comes
        self.loaded = False

    def _aligned(self, size: int) -> np.ndarray:
        """A core finds its memory's start by the alignment of 64 KB."""
        raw = np.zeros(size + (1 << 16), np.uint8)
        self._keep.append(raw)
        at = -raw.ctypes.data % (1 << 16)
        return raw[at : at + size]

    def _channel(self, tile: int, direction: Dir, ch: int) -> _Channel:
        return self.channels.setdefault((tile, direction, ch), _Channel(tile, direction, ch))

    # ------------------------------------------------------------------ cores

    def _core(self, index: int) -> None:
        core = self.p.cores[index]
        self.core_of[threading.get_ident()] = core.tile
        base = self.memory[core.tile].ctypes.data
        pointers = [ctypes.c_void_p(base + getattr(core, f"{area}_base")) for area in AREAS]
        self.lib.tvm_aie_core(*pointers, *(ctypes.c_int32(getattr(core, s)) for s in SIZES))
        with self.changed:
            self.halted += 1
            self.changed.notify_all()

    def _acquire(self, lock: int, value: int) -> None:
        core = self.core_of[threading.get_ident()]
        key = (core, lock - OWN_LOCKS)
        with self.changed:
            self.first.setdefault(core, key)
            self.waiting[core] = key, value
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.locks.get(key, 0) >= value)
            del self.waiting[core]
            self.locks[key] -= value
            self.changed.notify_all()

    def _release(self, lock: int, value: int) -> None:
        with self.changed:
            key = (self.core_of[threading.get_ident()], lock - OWN_LOCKS)
            self.locks[key] = self.locks.get(key, 0) + value
            assert self.locks[key] <= 63
            self.changed.notify_all()

    # ------------------------------------------------------------------ descriptors

    def _words(self, bd: Bd, current: list[int]) -> np.ndarray:
        """Word index of each transferred word in its memory, -1 for a padded zero."""
        index = np.array([bd.base // 4 + current[0] * bd.iter_step])
        for i in reversed(range(len(bd.dims))):
            (size, stride), (before, after) = bd.dims[i], bd.pad(i)
            body = np.where(index >= 0, index + stride * np.arange(size)[:, None], -1).ravel()
            zeros = np.full(len(index), -1)
            index = np.concatenate([zeros] * before + [body] + [zeros] * after)
        return index

    def _store(self, bd: Bd) -> np.ndarray:
        shim = self.p.tiles[bd.tile].kind == TileKind.SHIM
        memory = self.ddr[bd.mem] if shim else self.memory[bd.mem]
        return memory[: memory.size // 4 * 4].view(np.uint32)

    def _step(self, c: _Channel) -> bool:
        """One descriptor of a channel, if nothing holds it up."""
        if c.bd < 0:
            if not c.tasks:
                return False
            c.bd, c.left = c.tasks[0]
        tile, direction, _ = c.key
        bd, current = self.descriptors[tile, c.bd]
        take = bd.acquire
        if take and self.locks.get((take.tile, take.lock), 0) < take.value:
            return False
        if direction == Dir.S2MM and c.held < bd.length:
            return False
        if direction == Dir.MM2S and any(d.held > 1 << 16 for d in c.to):
            return False
        if direction == Dir.MM2S and self.p.tiles[tile].kind == TileKind.SHIM and not all(map(self._takes, c.to)):
            return False  # words do not leave a shim before somebody takes them
        if take:
            self.locks[take.tile, take.lock] -= take.value
        index, memory = self._words(bd, current), self._store(bd)
        if direction == Dir.MM2S:
            data = np.where(index >= 0, memory[index], np.uint32(0))
            for d in c.to:
                d.words.append(data)
                d.held += data.size
        else:
            data = np.concatenate(list(c.words))
            c.words.clear()
            memory[index] = data[: index.size]
            c.words.append(data[index.size :])
            c.held -= index.size
        current[0] = (current[0] + 1) % bd.iter_wrap
        if bd.release:
            key = (bd.release.tile, bd.release.lock)
            self.locks[key] = self.locks.get(key, 0) + bd.release.value
        self._next(c, bd)
        return True

    def _takes(self, c: _Channel) -> bool:
        """Whether a channel has a descriptor that nothing holds up."""
        if c.bd < 0 and not c.tasks:
            return False
        take = self.descriptors[c.key[0], c.bd if c.bd >= 0 else c.tasks[0][0]][0].acquire
        return not take or self.locks.get((take.tile, take.lock), 0) >= take.value

    def _next(self, c: _Channel, bd: Bd) -> None:
        c.bd = bd.next_bd
        if c.bd >= 0:
            return
        start, repeat = c.tasks[0]
        if repeat == 0:  # for ever
            c.bd = start
            return
        c.left -= 1
        if c.left > 0:
            c.bd = start
        else:
            c.tasks.popleft()
            c.done += 1

    # ------------------------------------------------------------------ commands

    def _write(self, index: int) -> None:
        bd = self.p.bds[index]
        self.descriptors[bd.tile, bd.bd_id] = (bd, [0])

    def _command(self, command: object) -> bool:
        if isinstance(command, WriteBd):
            self._write(command.index)
        elif isinstance(command, Push):
            t = command.task
            c = self.channels[t.tile, t.dir, t.ch]
            if len(c.tasks) >= 4:
                return False
            c.tasks.append((t.bd, t.repeat))
        elif isinstance(command, SetLock):
            self.locks[command.use.tile, command.use.lock] = command.use.value
        elif isinstance(command, Wait):
            return self.channels[command.tile, command.dir, command.ch].done >= command.count
        return True

    def _load(self) -> None:
        self.ddr[0][: len(self.p.const)] = np.frombuffer(self.p.const, np.uint8)
        callbacks = (CALLBACK(self._acquire), CALLBACK(self._release))
        self._callbacks = callbacks  # as long as the cores call them
        for name, callback in zip(("on_acquire", "on_release"), callbacks, strict=True):
            ctypes.c_void_p.in_dll(self.lib, name).value = ctypes.cast(callback, ctypes.c_void_p).value
        for index in self.p.static_bds:
            self._write(index)
        for t in self.p.static_tasks:
            self.channels[t.tile, t.dir, t.ch].tasks.append((t.bd, t.repeat))
        for index in range(len(self.p.cores)):
            threading.Thread(target=self._core, args=(index,), daemon=True).start()
        self.loaded = True

    def _idle(self) -> bool:
        """Whether every core has halted or waits for a message of opcodes."""
        waiting = sum(
            key == self.first[core] and self.locks.get(key, 0) < value for core, (key, value) in self.waiting.items()
        )
        return self.halted + waiting == len(self.p.cores)

    def run(self, inputs: bytes, timeout: float = 120.0) -> bytes:
        """Raises ``AssertionError`` when nothing moves any more before the commands are done and the cores idle."""
        if not self.loaded:
            self._load()
        assert self.halted == 0, "the cores have halted: load the program again"
        self.ddr[1][: len(inputs)] = np.frombuffer(inputs, np.uint8)
        self.ddr[2][:] = 0
        for channel in self.channels.values():
            channel.done = 0
        commands = deque(self.p.commands)
        with self.changed:
            done = False
            while not done:
                moved = False
                while commands and self._command(commands[0]):
                    commands.popleft()
                    moved = True
                for channel in self.channels.values():
                    while self._step(channel):
                        moved = True
                if moved:
                    self.changed.notify_all()
                done = not moved and not commands and self._idle()
                if not done and not self.changed.wait(timeout=0 if moved else timeout):
                    assert moved, f"nothing moves: {len(commands)} commands left, {self.halted} cores halted"
        return self.ddr[2].tobytes()
