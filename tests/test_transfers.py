"""Message compression: expanding the tasks gives back exactly the messages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_aie.emit.transfers import Limits, Shape, compress, merge_dims

A, B = Shape(1, ((4, 1),)), Shape(1, ((2, 8), (2, 1)))


def expand(tasks):
    out = []
    for task in tasks:
        for k in range(task.repeat):
            out.append(tuple((t.shape, t.base + (k % t.wrap) * t.step * 4) for t in task.chain))
    return out


message = st.tuples(st.tuples(st.sampled_from([A, B]), st.integers(0, 6).map(lambda v: 64 * v)))
loops = st.tuples(st.integers(1, 4), st.integers(1, 70), st.sampled_from([0, 16, 64]), st.sampled_from([0, 4096]))


@given(st.lists(message, min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_sequence_survives(messages):
    tasks = compress(messages, Limits(256, 64, 1 << 17))
    assert expand(tasks) == messages
    assert all(t.repeat <= 256 and all(b.wrap <= 64 for b in t.chain) for t in tasks)


@given(st.lists(loops, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_loop_nests_survive_and_shrink(nests):
    messages = []
    for outer, inner, step, jump in nests:
        messages += [((A, o * jump + i * step), (B, 8)) for o in range(outer) for i in range(inner)]
    tasks = compress(messages, Limits(256, 64, 1 << 17))
    assert expand(tasks) == messages
    assert len(tasks) <= sum(outer * (2 + inner // 32) for outer, inner, _, _ in nests)


def test_repeated_pass_is_one_task():
    messages = [((A, 64 * i),) for i in range(16)] * 8
    (task,) = compress(messages, Limits(256, 64, 1 << 17))
    assert task.repeat == 128 and task.chain[0].wrap == 16


def test_steps_beyond_the_field_are_not_used():
    messages = [((A, 64 * i),) for i in range(4)]
    assert len(compress(messages, Limits(256, 64, 8))) == 4


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 70), st.sampled_from([0, 16, 64])), min_size=1, max_size=3),
    st.integers(0, 8),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_groups_survive(nests, most, folded):
    """Passes over bands whose bases advance unevenly: groups of them, never of more descriptors than allowed."""
    messages, counts = [], []
    for k, (bands, pieces, step) in enumerate(nests):
        messages += [((A, 512 * b * b + x * step), (B, 8)) for x in range(pieces) for b in range(bands)]
        counts += [1 + k % 2] * (pieces * bands)
    limits = Limits(256, 64, 1 << 17, most)
    tasks = compress(messages, limits, counts if folded else ())
    assert [m for t in expand(tasks) for m in t] == [m for message in messages for m in message]
    at = 0
    for task in tasks:
        assert len(task.chain) <= max(2, most) and task.repeat <= 256 and all(b.wrap <= 64 for b in task.chain)
        assert task.first == at
        at = task.last + 1
        if folded and task.repeat > 1:
            assert len(set(counts[task.first : at])) == 1
    assert at == len(messages)


def test_uneven_bands_are_one_task():
    """Rows 0, 3, 6, 8 of each of 7 chunks of the width: alone no run is longer than 3 messages."""
    messages = [((A, 4096 * y + 16 * x),) for x in range(7) for y in (0, 3, 6, 8)]
    assert len(compress(messages, Limits(256, 64, 1 << 17, 3))) > 7
    (task,) = compress(messages, Limits(256, 64, 1 << 17, 4))
    assert task.repeat == 7 and len(task.chain) == 4


def test_merge_dims():
    assert merge_dims(((3, 16), (2, 8), (8, 1))) == ((48, 1),)
    assert merge_dims(((1, 99), (2, 16), (8, 1))) == ((2, 16), (8, 1))
    assert merge_dims(((2, 8), (8, 1)), ((2, 0),)) == ((2, 8), (8, 1))
