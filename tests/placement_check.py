"""Checks a placement from its items alone: nothing that is live is overwritten, everything aligned and inside."""

from tvm_aie.memory.allocator import ALIGN


def until(placement, last):
    """The last item during which something is in use: a barrier that lags does not wait for the item before."""
    behind = last + 1
    return behind if behind < len(placement.items) and placement.items[behind].lag else last


def regions(placement, graph):
    """(address, bytes, first item, last item, storage) of everything that items read or write in a memtile."""
    out = []
    for item in placement.items:
        for place in item.inputs:
            width = graph.storages[place.storage].width * 8
            size = max(hi - lo for lo, hi in place.rows) * place.buffer_blocks * width
            first = place.load_at if place.loaded else item.index
            out.append((place.address, size, first, until(placement, item.index), place.storage))
        for place in item.outputs:
            width = graph.storages[place.storage].width * 8
            size = max(hi - lo for lo, hi in place.rows) * place.buffer_blocks * width
            last = max(place.last_use, until(placement, item.index))
            out.append((place.address, size, item.index, last, place.storage))
    return out


def shared(placement):
    """Storages that take over each other's memory (residual additions in place): pairs, both ways."""
    pairs = set()
    for item in placement.items:
        if item.in_place:
            for place in item.inputs:
                if place.address == item.outputs[0].address:
                    pairs |= {(place.storage, item.outputs[0].storage), (item.outputs[0].storage, place.storage)}
    grown = True
    while grown:  # a chain of additions shares one buffer
        more = {(a, d) for a, b in pairs for c, d in pairs if b == c and a != d} - pairs
        pairs |= more
        grown = bool(more)
    return pairs


def check_placement(placement, graph, capacity):
    """Raises AssertionError naming the two parts that collide."""
    parts = regions(placement, graph)
    same = shared(placement)
    for address, size, *_, name in parts:
        assert address % ALIGN == 0, f"{name} at {address}: not a multiple of {ALIGN}"
        assert 0 <= address and address + size <= capacity, f"{name}: {address} + {size} exceeds {capacity}"
    parts.sort(key=lambda p: p[0])
    for i, (address, size, first, last, name) in enumerate(parts):
        for other, _, begin, end, rival in parts[i + 1 :]:
            if other >= address + size:
                break
            if end < first or last < begin or name == rival or (name, rival) in same:
                continue
            raise AssertionError(f"{name} (items {first}-{last}) and {rival} (items {begin}-{end}) overlap at {other}")
    # What is read in place was written there before, by a part that lives until then.
    for item in placement.items:
        for place in item.inputs:
            if not place.loaded:
                makers = [
                    out
                    for before in placement.items[: item.index]
                    for out in before.outputs
                    if out.address == place.address and out.last_use >= item.index
                    and (out.storage == place.storage or (out.storage, place.storage) in same)
                ]  # fmt: skip
                assert makers, f"item {item.index} reads {place.storage} at {place.address}: nothing lives there"
