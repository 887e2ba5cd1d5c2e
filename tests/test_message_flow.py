"""The library's recurrence over messages against the one in plain Python, double for double, on random items."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles import message_flow as oracle
from oracles.weight_stream import WeightStream
from tvm_aie.cost.item_load import ItemLoad, Rates, rates_of
from tvm_aie.cost.message_flow import FlowLoad, MessageFlow
from tvm_aie.device import load_device
from tvm_aie.emit.division import Staying, staying
from tvm_aie.emit.overlay import Array
from tvm_aie.schedule.geometry import Overlay

SIZES = (1, 7, 8, 9, 31, 33)
sizes = st.sampled_from(SIZES)


def array_of(columns, rows, rng):
    """An array with small rings, so that messages of all sizes wrap and wait, and one weight ring for all divisions."""
    a, o, w, mt = (int(rng.choice([33, 36, 40, 66])) for _ in range(4))
    ov = Overlay(a_slot=int(rng.choice([128, 384])), a_slots=a, o_slot=128, o_slots=o, w_slot=512, w_slots=w)
    return Array(load_device(f"wbs-{rows}x{columns}"), replace(ov, memtile_w_slot=2048, memtile_w_slots=mt))


def times_of(array, shared, rng) -> Rates:
    """Rates that no power of two divides: any other order of operations shows."""
    base = rates_of(array)
    cycles = {name: float(rng.uniform(0.3, 40)) for name in ("a_slot", "o_slot")}
    return replace(
        base, w=float(rng.uniform(0.001, 0.3)), loadw=float(rng.uniform(0.001, 0.3)), o_shared=shared, **cycles
    )


def locks_of(messages, steps, kept, rng):
    """Steps of an item: copies of a kept input, then, for each weight message, calls that take and give messages."""
    rows = [[1, 0, 0, 1, 0, 0] for _ in range(kept)]
    held_a = held_o = False
    for _ in range(messages):
        for k in range(steps):
            takes_a, takes_o = not held_a and rng.random() < 0.8, not held_o and rng.random() < 0.6
            held_a, held_o = held_a or takes_a, held_o or takes_o
            last = k == steps - 1
            gives_a, gives_o = held_a and rng.random() < 0.7, held_o and rng.random() < 0.7
            rows.append([takes_a, k == 0, takes_o, gives_a, last, gives_o])
            held_a, held_o = held_a and not gives_a, held_o and not gives_o
    if rows and (held_a or held_o):
        rows.append([0, 0, 0, held_a, 0, held_o])
    return np.array(rows, np.uint8).reshape(-1, 6)


def random_load(array, divided, rng, messages, steps, kept, size):
    """An item with messages of ``size`` slots or, in places, fewer, of other sizes, or none."""
    here, _ = divided or (array, None)
    shape = here.cols, here.rows
    locks = locks_of(messages, steps, kept, rng)
    n_a, n_o = int(locks[:, 0].sum()), int(locks[:, 5].sum())

    def spread(count, lanes, most):
        size_of = np.full((count, *lanes), min(size, most))
        other = rng.choice([0, *SIZES], size_of.shape).clip(max=most)
        return np.where(rng.random(size_of.shape) < rng.choice([0.0, 0.3]), other, size_of).astype(np.int64)

    a_sizes, o_sizes = spread(n_a, shape[:1], here.overlay.a_slots), spread(n_o, shape, here.overlay.o_slots)
    a_sizes[:kept] = np.minimum(a_sizes[:kept], 1)
    idle = rng.random(shape[0]) < 0.2  # columns without rows
    a_sizes[:, idle], o_sizes[:, idle] = 0, 0
    kernel = np.where(rng.random((len(locks), *shape)) < 0.2, 0.0, rng.uniform(0, 300, (len(locks), *shape)))
    return ItemLoad(
        locks=locks,
        kernel=kernel,
        a_move=rng.uniform(0, 50, (len(locks), shape[0])),
        w_bytes=512 * rng.integers(0, min(40, here.overlay.w_slots + 1), (shape[1], messages)),
        prologue_words=tuple(map(int, rng.integers(20, 900, shape[0]))),
        a_slots=min(size, here.overlay.a_slots),
        a_sizes=a_sizes,
        a_counts=tuple(np.where(idle, 0, n_a).tolist()),
        o_slots=min(size, here.overlay.o_slots),
        o_sizes=o_sizes,
        o_rest=rng.uniform(0, 1, shape) * o_sizes[-1:].sum(axis=0),
        aligned=bool(rng.random() < 0.3),
        control=(0.0, 0.0),
        divided=divided,
        kept=(kept,) * shape[0],
    )


class Both:
    """Both recurrences in step."""

    def __init__(self, array, rates, ahead):
        self.array = array
        self.fast, self.slow = MessageFlow(array, rates, ahead), oracle.MessageFlow(array, rates, ahead)
        self.items = 0

    def copy(self):
        other = object.__new__(Both)
        other.array, other.items = self.array, self.items
        other.fast, other.slow = self.fast.copy(), self.slow.copy()
        return other

    def advance(self, load, lag, follows, rng):
        begin = rng.uniform(0, 500, self.array.cols) if self.items == 0 else None
        barrier = rng.integers(0, 6, self.array.cols).tolist()
        work = FlowLoad(load, barrier)
        load = replace(load, prologue_words=tuple(a + b for a, b in zip(load.prologue_words, barrier, strict=True)))
        there = self.fast.opcodes(work, begin)
        same(there, self.slow.opcodes(load, begin))
        ready, command = there + rng.choice([0.0, 300.0]), float(rng.choice([0.0, rng.uniform(0, 9000)]))
        stays = Staying(True, True)
        if load.divided:
            stays = staying(lag, self.array.overlay, load.divided[0].overlay)
            self.array = load.divided[0]
        self.fast.run(work, ready, command, lag, stays, follows)
        self.slow.run(load, ready, command, lag, stays, follows)
        self.items += 1
        if not follows and rng.random() < 0.3:
            for flow in (self.fast, self.slow):
                flow.delay(command)
        self.compare()

    def compare(self):
        for name in ("a_free", "core", "o_end"):
            same(getattr(self.fast, name), getattr(self.slow, name))
        assert [self.fast.ended(k) for k in range(self.items)] == [self.slow.ended(k) for k in range(self.items)]

    def done(self, item):
        same(self.fast.done(item), self.slow.done(item))


def same(fast, slow):
    assert fast.tobytes() == np.asarray(slow, np.float64).tobytes(), (fast, slow)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 2]), sizes), min_size=1, max_size=6),
    st.tuples(st.sampled_from([0, 1, 3, 9]), sizes, st.sampled_from([0, 0, 7])),
    st.tuples(st.booleans(), st.booleans()),
)
@settings(max_examples=300, deadline=None)
def test_random_items(seed, shape, items, most, kinds):
    """One item to several, with barriers that lag and rings that stay or not; other items are tried on copies."""
    rng = np.random.default_rng(seed)
    messages, steps, kept = most
    shared, ahead = kinds
    array = array_of(*shape, rng)
    both = Both(array, times_of(array, shared, rng), ahead)
    lags = [lag and i > 0 for i, (lag, _, _) in enumerate(items)] + [False]
    for i, (_, division, size) in enumerate(items):
        for _ in range(1 + int(rng.integers(2))):  # the last one stays
            divided = None
            if division:
                a, o = (int(rng.choice([33, 36])) for _ in range(2))
                same_rings = replace(both.array.overlay, acc_bytes=2048 * division)
                here = same_rings if rng.random() < 0.5 else replace(same_rings, a_slots=a, o_slots=o)
                divided = Array(array.device, here), times_of(array, shared, rng)
            tried = both.copy()
            load = random_load(both.array, divided, rng, messages, min(steps, 9) if messages > 3 else steps, kept, size)
            tried.advance(load, lags[i], lags[i + 1], rng)
        both.compare()  # what was tried has left no trace
        both = tried
        for k in range(max(0, i - 1), i + 1):
            if rng.random() < 0.5:
                both.done(k)
    for k in range(len(items)):
        both.done(k)


few_and_many = st.tuples(st.sampled_from([1, 1, 1, 2, 8]), st.sampled_from([0, 0, 3, 60, 200]))


@given(st.lists(few_and_many, min_size=8, max_size=30), st.integers(9, 16))
@settings(max_examples=200, deadline=None)
def test_weights_enter_slot_by_slot(messages, slots):
    """Each slot of the stream enters the core ring as soon as one is free, and takes ten cycles."""
    array = array_of(1, 1, np.random.default_rng(0))
    array = replace(array, overlay=replace(array.overlay, w_slots=slots, memtile_w_slots=1000))
    stream = WeightStream(array, replace(rates_of(array), w=10 / 512, loadw=0.0))
    stream.begin(np.array([[512.0 * size for size, _ in messages]]))
    free, at, core = [0.0] * slots, 0.0, 0.0
    for k, (size, work) in enumerate(messages):
        for _ in range(size):
            at = max(at, free.pop(0)) + 10
        there = stream.arrive(0, k)
        assert there == pytest.approx(at)
        core = max(core, there) + work
        stream.release(0, k, core)
        free += [core] * size


@pytest.fixture
def load():
    rng = np.random.default_rng(0)
    return random_load(array_of(2, 2, rng), None, rng, 3, 7, 0, 8)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (lambda x: {"kernel": x.kernel[:, :1]}, "shape of activations' cycles"),
        (lambda x: {"kernel": x.kernel[:-1]}, "shape of locks"),
        (lambda x: {"kernel": np.where(x.kernel > 0, np.nan, x.kernel)}, "kernels is not in"),
        (lambda x: {"a_move": -1 - x.a_move}, "activations' cycles is not in"),
        (lambda x: {"a_sizes": x.a_sizes[:-1]}, "steps without messages"),
        (lambda x: {"o_sizes": x.o_sizes[:-1]}, "steps without messages"),
        (lambda x: {"w_bytes": x.w_bytes[:, :-1]}, "steps without messages"),
        (lambda x: {"w_bytes": x.w_bytes[:1]}, "shape of weights"),
        (lambda x: {"o_sizes": -1 - x.o_sizes}, "outputs is not in"),
        (lambda x: {"o_rest": x.o_rest[0]}, "shape of outputs' filler"),
        (lambda x: {"a_slots": 0}, "a message of 0"),
        (lambda x: {"locks": x.locks[:, :5]}, "shape of locks"),
        (lambda x: {"prologue_words": (1, 2, 3), "a_counts": (1, 2, 3), "kept": (0, 0, 0)}, "shape of columns"),
    ],
)
def test_sizes_are_checked(load, changes, named):
    FlowLoad(load, [0] * len(load.prologue_words))
    with pytest.raises(ValueError, match=named):
        changed = replace(load, **changes(load))
        FlowLoad(changed, [0] * len(changed.prologue_words))


def test_calls_are_checked(load):
    array = array_of(2, 2, np.random.default_rng(0))
    flow, work = MessageFlow(array, rates_of(array), False), FlowLoad(load, [0] * len(load.prologue_words))
    with pytest.raises(ValueError, match="wrong type or shape of begin"):
        flow.opcodes(work, np.zeros(3))
    with pytest.raises(ValueError, match="no item 0"):
        flow.done(0)
    with pytest.raises(ValueError, match="outputs have ended"):
        flow.delay(5.0)
    flow.run(work, np.zeros(2), 0.0, False, Staying(True, True), True)
    with pytest.raises(ValueError, match="outputs have ended"):
        flow.delay(5.0)
    other = array_of(1, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="another array"):
        MessageFlow(other, rates_of(other), False).opcodes(work)
