"""What is done to the requests of a trace on their way: a part, other times, a coarse clock undone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.saas.blocks import Block, Floats


def clip(blocks: Iterator[Block], start: float, length: float | None) -> Iterator[Block]:
    """The part of a trace from `start` for `length` seconds (None: to its end), its begin being time 0."""
    end = float("inf") if length is None else start + length
    for block in blocks:
        first, last = np.searchsorted(block.times, (start, end))
        if first < last:
            columns = {name: values[first:last] for name, values in block.columns.items()}
            yield Block(block.times[first:last] - start, columns)
        if last < len(block.times):
            return


def thin(blocks: Iterator[Block], rng: np.random.Generator, share: float) -> Iterator[Block]:
    """Each request of a trace with probability `share`, independently."""
    for block in blocks:
        kept = rng.random(len(block.times)) < share
        if kept.any():
            yield Block(block.times[kept], {name: values[kept] for name, values in block.columns.items()})


def timed(blocks: Iterator[Block], rng: np.random.Generator, rate: float) -> Iterator[Block]:
    """The rows of a trace as a Poisson process of a rate, whatever times they have."""
    last = 0.0
    for block in blocks:
        times = last + np.cumsum(rng.exponential(1 / rate, len(block.times)))
        last = float(times[-1])
        yield Block(times, block.columns)


def spread(blocks: Iterator[Block], rng: np.random.Generator, grain: float) -> Iterator[Block]:
    """Rows of one moment at random moments of the step that begins there: uniform, in order.

    A step is `grain` seconds long, or as long as the next moment of the trace is away, if that is less.
    """
    held: list[Block] = []
    for block in blocks:
        held.append(block)
        if block.times[-1] == held[0].times[0]:
            continue
        joined = _joined(held)
        # The last moment may go on in the next block.
        last = int(np.searchsorted(joined.times, joined.times[-1]))
        held = [_part(joined, slice(last, None))]
        yield _spread(_part(joined, slice(0, last)), rng, grain, float(joined.times[-1]))
    if held:
        yield _spread(_joined(held), rng, grain, float("inf"))


def _spread(block: Block, rng: np.random.Generator, grain: float, end: float) -> Block:
    moments, counts = np.unique(block.times, return_counts=True)
    widths = np.minimum(grain, np.diff([*moments, end]))
    shares = rng.random(len(block.times))
    order = np.lexsort((shares, block.times))
    return Block(block.times + shares[order] * np.repeat(widths, counts), block.columns)


def _joined(blocks: list[Block]) -> Block:
    columns = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    return Block(np.concatenate([block.times for block in blocks]), columns)


def _part(block: Block, rows: slice) -> Block:
    return Block(block.times[rows], {name: values[rows] for name, values in block.columns.items()})


def shift(block: Block, factor: float, offset: float) -> Block:
    """A block whose times are multiplied, then moved."""
    times: Floats = block.times * factor + offset
    return Block(times, block.columns)
