"""The sub-volume search of every item of a network: its question (``Workload``), its answers, each found once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from math import inf

from tvm_aie.emit.counting import ItemCounter, Known
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv, item_weights
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.plan.unite import JOIN
from tvm_aie.schedule.control import PRICE, Price
from tvm_aie.schedule.cover import VARIANTS, Blocks, Mask
from tvm_aie.schedule.cuts import Share
from tvm_aie.schedule.division import choose_of
from tvm_aie.schedule.fitted import fitted
from tvm_aie.schedule.geometry import DEFAULT_OVERLAY, Geometry, Overlay
from tvm_aie.schedule.grid import Grid, choose, grids, least, least_of, shortlist
from tvm_aie.schedule.rings import Divisions
from tvm_aie.schedule.terms import KernelTerms, terms_from_keys
from tvm_aie.schedule.tiling import Candidates, Counter, Tiling, candidates_of, counts_cuts, search, shares_of, tilings


def group_name(members: tuple[int, ...], physical: PhysicalGraph) -> str:
    """Names of the layers that share an item."""
    return JOIN.join(physical.layers[m].name for m in members)


def item_name(item: WorkItem, physical: PhysicalGraph) -> str:
    """Names of the layers that an item executes."""
    return group_name(item.members, physical)


@dataclass(frozen=True)
class Workload:
    """What the choice of a tiling depends on; ``live`` is Gamma of a convolution (out blocks, in blocks).

    ``blocks``: taps and bit widths inside the live blocks; None: all taps of every live block, int8.
    """

    layer: str
    device: str
    geometry: Geometry
    rows: tuple[int, ...]
    n_rows: int
    in_place: bool
    live: Mask | None = field(compare=False)
    blocks: Blocks | None = field(compare=False, default=None)
    overlay: Overlay = DEFAULT_OVERLAY  # division of core memory, without what the memtiles have left for weights
    counter: Counter | None = field(default=None, compare=False)  # of commands; None where they cost nothing


# Returns the tiling to use for a workload, or None for the default (the best by estimate).
Chooser = Callable[[Workload], Tiling | None]


def workload(
    array: Array,
    item: WorkItem,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    counted: Known | None = None,
    price: Price = PRICE,
) -> Workload:
    """What the tiling of an item depends on. ``counted``, ``price``: see ``ItemCounter``."""
    weights = item_weights(item, physical, packed)
    blocks = weights.blocks if weights else None
    return Workload(
        item_name(item, physical),
        array.device.name,
        item.geometry,
        tuple(max(0, b - a) for a, b in item.out_rows),
        array.rows,
        item.in_place,
        blocks.live if blocks else None,
        None if blocks is None or blocks.plain else blocks,
        base_overlay(array.overlay),
        None if array.device.core_ideal else ItemCounter(array, item, physical.storages, counted, price),
    )


def base_overlay(overlay: Overlay) -> Overlay:
    """The division of core memory alone: the memtiles' rings as they are before they grow."""
    return replace(overlay, memtile_w_slot=Overlay.memtile_w_slot, memtile_w_slots=Overlay.memtile_w_slots)


# Of a cycle of commands of the first item: nothing runs behind which they hide. On npu1 the first items of ResNet-50
# under three divisions of core memory take, beyond their kernels, 0.4 to 0.9 times what their commands do (emulated);
# but the search counts more of them. With 0.5 four of five networks had the same cycles, ShuffleNet some more.
FIRST_SHARE = 0.25


def charged(work: Workload, terms: KernelTerms) -> tuple[KernelTerms, float]:
    """The terms, and the price of a cycle of commands, under which the tilings of a workload are searched."""
    counter = work.counter
    if counter is None:
        return replace(terms, ddr=inf), PRICE.share
    price, first = counter.price, counter.first
    terms = terms if price.ddr or first else replace(terms, ddr=inf)
    return terms, max(price.share, FIRST_SHARE * price.start * first)


MOST_TRIED = 10  # tilings of an item
MOST_CANDIDATES = 400_000  # that are kept for other prices of commands, of some 200 bytes
MOST_FLOWING = 3  # likewise, for each ring of outputs
NEARLY = 1.15  # times the best


@dataclass(frozen=True)
class Flowing:
    """The best tilings of an item under some divisions where items overlap, each found once."""

    grids: tuple[Grid, ...]
    leasts: dict[Divisions, float] = field(default_factory=dict)
    lists: dict[tuple[Divisions, bool], list[Tiling]] = field(default_factory=dict)

    def least(self, divisions: Divisions) -> float:
        """Estimated cycles of the best between items that overlap with it; infinite when nothing fits."""
        if divisions not in self.leasts:
            self.leasts[divisions] = least_of(self.grids, divisions, True)[0]
        return self.leasts[divisions]

    def tilings(self, divisions: Divisions, last: bool) -> list[Tiling]:
        """The best; ``last``: nothing overlaps with the item's outputs."""
        if (divisions, last) not in self.lists:
            found = shortlist(self.grids, divisions, MOST_FLOWING, NEARLY, not last) if divisions else []
            self.lists[divisions, last] = [replace(t, division=ov) for t, ov in found]
        return self.lists[divisions, last]


# The first: names of the layers, where commands or given tilings tell apart layers of one shape, else "". The last:
# digests of the weights' live taps. Another plan may deal the channels of a layer of that name otherwise, and a tiling
# has a cover, which says where the live blocks are.
Key = tuple[str, Geometry, tuple[int, ...], bool, frozenset[str], tuple[bytes, ...]]
Grids = dict[tuple[Hashable, int], tuple[Grid, ...] | None]
Shares = dict[tuple[Hashable, bool], list[Share]]  # by ``_value``, and whether weights are charged DDR's time
Ranked = dict[tuple[Hashable, bool, Overlay], Candidates]  # likewise, and by the division of core memory
Walked = dict[Hashable, Tiling]  # by ``_value``, division of core memory, and what commands depend on


@dataclass(frozen=True)
class Searches:
    """Sub-volume searches of one division of core memory, each done once. ``grids``: of all divisions together."""

    grids: Grids  # by ``_value``, and by the size of a weight slot
    given: Chooser | None = None
    divisions: Divisions = ()  # if any: items may switch between them
    blocks: bool = True  # see ``KernelTerms.single_blocks``
    keep: bool = True  # see ``KernelTerms.keeps``
    joined: bool = True  # see ``KernelTerms.joins``
    counted: Known = field(default_factory=dict)  # commands, likewise of all divisions together
    shares: Shares = field(default_factory=dict)  # likewise
    candidates: Ranked = field(default_factory=dict)  # likewise, for all prices of commands
    walked: Walked = field(default_factory=dict)  # likewise: layers of one shape, placed alike, have one tiling
    price: Price = PRICE  # of commands
    tilings: dict[Key, Tiling] = field(default_factory=dict)
    best: dict[Key, float] = field(default_factory=dict)
    leasts: dict[Key, tuple[float, Overlay | None]] = field(default_factory=dict)  # over ``divisions``
    flows: dict[Key, Flowing | None] = field(default_factory=dict)
    lists: dict[Key, list[Tiling]] = field(default_factory=dict)  # of ``others``

    def tiling(
        self,
        array: Array,
        item: WorkItem,
        physical: PhysicalGraph,
        packed: dict[str, PackedConv],
        variants: frozenset[str] = VARIANTS,
    ) -> Tiling:
        """The best tiling of an item. Raises ``InfeasibleError`` when none fits."""
        key = self._key(array, item, physical, packed, variants)
        if key not in self.tilings:
            work = workload(array, item, physical, packed, self.counted, self.price)
            found = self.given(work) if self.given else None
            if found is None and (grids := self._grids(key, array, work, variants)):
                found = self._chosen(key, grids) if self.divisions else choose(grids, array.overlay)
            found = found or self._searched(key, array, work, variants)
            if self.divisions and found.division is None:
                found = fitted(replace(found, division=work.overlay), item.geometry)
            self.tilings[key] = found
        return self.tilings[key]

    def cycles(self, array: Array, item: WorkItem, physical: PhysicalGraph, packed: dict[str, PackedConv]) -> float:
        """Estimated cycles of the best tiling. Raises ``InfeasibleError`` when none fits."""
        key = self._key(array, item, physical, packed, VARIANTS)
        if key not in self.best:
            work = workload(array, item, physical, packed, self.counted, self.price)
            grids = self._grids(key, array, work, VARIANTS)
            if grids and self.divisions:
                self.best[key] = self._least(key, grids)[0]
            else:
                found = least(grids, array.overlay) if grids else None
                self.best[key] = found or self._searched(key, array, work, VARIANTS).cycles
        return self.best[key]

    def others(
        self, array: Array, item: WorkItem, physical: PhysicalGraph, packed: dict[str, PackedConv]
    ) -> list[Tiling]:
        """Other tilings of an item than the best, of nearly equal cycles."""
        key = self._key(array, item, physical, packed, VARIANTS)
        if key not in self.lists:
            work = workload(array, item, physical, packed, self.counted, self.price)
            grids, divisions = self._grids(key, array, work, VARIANTS), self.divisions or (array.overlay,)
            found = shortlist(grids, divisions, MOST_TRIED, NEARLY)[1:] if grids else []
            self.lists[key] = [replace(t, division=ov if self.divisions else None) for t, ov in found]
        return self.lists[key]

    def flowing(
        self, array: Array, item: WorkItem, physical: PhysicalGraph, packed: dict[str, PackedConv]
    ) -> Flowing | None:
        """The item's tilings between items that overlap with it; None: it has no grid, or its tiling is given."""
        key = self._key(array, item, physical, packed, VARIANTS)
        if key not in self.flows:
            work = workload(array, item, physical, packed, self.counted, self.price)
            settled = not self.divisions or (self.given is not None and self.given(work) is not None)
            found = None if settled else self._grids(key, array, work, VARIANTS)
            self.flows[key] = Flowing(found) if found else None
        return self.flows[key]

    def _searched(self, key: Key, array: Array, work: Workload, variants: frozenset[str]) -> Tiling:
        """By walking the candidates."""
        same = _value(key), array.overlay, work.counter.key if work.counter else None
        try:
            if same not in self.walked:
                self.walked[same] = self._walked(key, array, work, variants)
            return self.walked[same]
        except InfeasibleError as error:
            raise InfeasibleError.of({work.layer: error}) from None

    def _walked(self, key: Key, array: Array, work: Workload, variants: frozenset[str]) -> Tiling:
        terms, price = charged(work, self._terms(array))
        shape = work.geometry, work.live, work.rows, work.n_rows, array.overlay, terms, work.in_place, work.blocks
        if work.counter is None:
            return search(*shape, variants)
        same = _value(key), terms.ddr < inf
        candidates = self.candidates.get((*same, array.overlay))
        if candidates is None:
            if counts_cuts(work.geometry, terms):
                if same not in self.shares:
                    of = work.geometry, work.live, work.rows, work.n_rows, terms, work.in_place, work.blocks, variants
                    self.shares[same] = list(shares_of(*of))
                candidates = candidates_of(self.shares[same], array.overlay)
            else:
                candidates = Candidates(tilings(*shape, variants))
            if sum(map(len, self.candidates.values())) > MOST_CANDIDATES:
                self.candidates.clear()
            self.candidates[*same, array.overlay] = candidates
        return search(*shape, variants, work.counter, candidates, price)

    def _least(self, key: Key, grids: tuple[Grid, ...]) -> tuple[float, Overlay | None]:
        if key not in self.leasts:
            self.leasts[key] = least_of(grids, self.divisions)
        return self.leasts[key]

    def _chosen(self, key: Key, grids: tuple[Grid, ...]) -> Tiling | None:
        _, overlay = self._least(key, grids)
        return choose_of(grids, (overlay,)) if overlay else None

    def _grids(self, key: Key, array: Array, work: Workload, variants: frozenset[str]) -> tuple[Grid, ...] | None:
        """None where the search walks its candidates one by one."""
        w_slot = array.overlay.w_slot
        if (
            not array.device.core_ideal
            or work.live is None
            or work.geometry.front
            or (w_slot != Overlay.w_slot and not self.divisions)
        ):
            return None
        if (same := (_value(key), w_slot)) not in self.grids:
            shape = work.geometry, work.live, work.rows, work.n_rows
            terms = self._terms(array)
            self.grids[same] = grids(*shape, terms, work.in_place, work.blocks, variants, w_slot)
        return self.grids[same]

    def _key(
        self,
        array: Array,
        item: WorkItem,
        physical: PhysicalGraph,
        packed: dict[str, PackedConv],
        variants: frozenset[str],
    ) -> Key:
        rows = tuple(max(0, b - a) for a, b in item.out_rows)
        layers = [physical.layers[m] for m in item.members]
        weights = tuple(packed[layer.name].blocks.digest for layer in layers if isinstance(layer, Conv))
        alike = array.device.core_ideal and self.given is None
        return "" if alike else item_name(item, physical), item.geometry, rows, item.in_place, variants, weights

    def _terms(self, array: Array) -> KernelTerms:
        terms = terms_from_keys(array.device.keys())
        blocks, joins = terms.single_blocks and self.blocks, terms.joins and self.joined
        return replace(terms, single_blocks=blocks, keeps=self.keep, joins=joins)


def _value(key: Key) -> Hashable:
    """The key without the layers' name, which decides nothing of the candidates."""
    return key[1:]
