"""What a schedule may do, and what is settled for a whole network before its tilings."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_aie.schedule.control import PRICE, Price
from tvm_aie.schedule.geometry import Overlay


@dataclass(frozen=True)
class Moves:
    """Which moves the schedule may make.

    ``tails``: adds and constants in a convolution's epilogue (``plan.fuse``); ``pools``: pools in a convolution's call
    (``plan.fuse``); ``siblings``: convolutions of one input share an item (``plan.siblings``); ``splits``: rows of an
    image are packed into columns so that few reads are far (``memory.partition``); ``spread``: channels of a global
    pool over the columns (``memory.placement``); ``runs``: layers depth-first where what lies between them does not fit
    (``memory.depth_first``); ``chains``: messages and items share descriptors and tasks (``emit.transfers``,
    ``emit.commands``); ``divisions``: core memory is divided for the network (``schedule.division``, ``rehearse``);
    ``switches``: and, but for the weight ring, anew for each item, in rings that its messages fill
    (``emit.division``, ``schedule.rings``);
    ``blocks``: the last input chunk is computed and sent output block by output block (``schedule.tiling``);
    ``fronts``: 1x1 convolutions of few channels run in front of the window that reads them (``plan.front``);
    ``keep``: the input of a convolution that adds a residual stays in the core for all passes (``Tiling.kept``);
    ``joined``: the lines of a band are one line to the kernel of a 1x1 convolution (``Tiling.joined``);
    ``balance``: output blocks in an order in which core rows have equal work (``plan.balance``);
    ``refine``: of nearly equal tilings the one that the recurrence over messages finds fastest (``cost.refine``);
    ``pitch``: images are enlarged so that output messages are whole slots, alike in all columns (``plan.pitch``);
    ``narrow``: small images are left to half of the columns where commands bound them (``memory.partition``);
    ``space_to_depth``: pixels of a network's input become channels where that fills blocks (``plan.space_to_depth``);
    ``unite``: convolutions of one input that a concat joins are one, whatever their windows (``plan.unite``);
    ``scales``: a factor and a term per channel in front of a 1x1 convolution run in its call (``plan.scale``);
    ``sums``: the convolution in front of a global average pool adds its pixels, column by column (``plan.sums``);
    ``lags``: branches are interleaved, so that barriers may lag by an item (``plan.interleave``, ``memory.lag``);
    ``turns``: chunks of layers that load from DDR take turns by when that is stored, and are finer where the cores
    would wait; tensors come back to the memtiles where the chunks leave room (``memory.pace``);
    ``always``: pools and siblings without asking the estimate.
    """

    tails: bool = True
    pools: bool = True
    siblings: bool = True
    splits: bool = True
    spread: bool = True
    runs: bool = True
    chains: bool = True
    divisions: bool = True
    switches: bool = True
    blocks: bool = True
    keep: bool = True
    joined: bool = True
    fronts: bool = True
    balance: bool = True
    refine: bool = True
    pitch: bool = True
    narrow: bool = True
    space_to_depth: bool = True
    unite: bool = True
    scales: bool = True
    sums: bool = True
    lags: bool = True
    turns: bool = True
    always: bool = False


@dataclass(frozen=True)
class Decisions:
    """What is settled for a whole network before the tilings.

    ``overlay``: division of core memory (None: the device's default, or the best by estimate of its options);
    ``unfused``: names of adds that stay items of their own; ``moves``: what else the schedule may do; ``narrow``: image
    heights on half of the columns (None: by estimate); ``price``: of commands (``schedule.control``); ``fronts``: names
    of convolutions that take the 1x1 convolution in front of them.
    """

    overlay: Overlay | None = None
    unfused: frozenset[str] = frozenset()
    moves: Moves = Moves()
    narrow: frozenset[int] | None = None
    price: Price = PRICE
    fronts: frozenset[str] = frozenset()


UNTUNED = Decisions()
