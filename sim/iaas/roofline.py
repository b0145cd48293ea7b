"""Service time of a neural network from its work and the machine's limits.

A pass computes `flop` and moves `size` bytes through memory; the slower of the two decides. This is the
roofline bound of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model
for multicore architectures", CACM 52(4), 2009, with both ceilings lowered to the share that real
inference reaches and a constant added for what every batch costs (kernel launches, input copy). How
far it is from published measurements: see the catalog page of the documentation.
"""

from __future__ import annotations

from sim.catalog import Device, Model
from sim.errors import StratusError


def peak(device: Device, precision: str) -> float:
    """FLOP/s of a device at a precision.

    Raises:
        StratusError: the device does not compute at it; the message names those it does. There is
            no silent fallback: another precision means other weights, time and quality.
    """
    if precision not in device.peak:
        known = ", ".join(device.peak)
        raise StratusError(f"{device.name} has no {precision} arithmetic in the catalog; it has {known}")
    return device.peak[precision]


def seconds(
    flop: float,
    size: float,
    device: Device,
    precision: str,
    efficiency: float | None = None,
) -> float:
    """Seconds of one pass: max(computing, moving) + overhead.

    Args:
        flop: work of the whole batch; integer operations count the same.
        size: bytes moved: the weights once, the activations of every item.
        device: what it runs on. Where its bandwidth is unknown only computing counts.
        precision: of the arithmetic, a key of `device.peak`.
        efficiency: share of the peak reached, instead of the device's own.

    Raises:
        StratusError: the device does not compute at this precision.
    """
    share = device.efficiency if efficiency is None else efficiency
    computing = flop / (peak(device, precision) * share)
    moving = 0.0 if device.bandwidth is None else size / (device.bandwidth * device.memory_efficiency)
    return max(computing, moving) + device.overhead


def batch_seconds(
    model: Model,
    items: float,
    device: Device,
    precision: str,
    efficiency: float | None = None,
) -> float:
    """Seconds of a batch of `items` through a model: `seconds` with the model's own figures.

    The rows that a recommender gathers from its embedding tables come before its layers can begin, so the
    time to read them is added. Of an encoder with a decoder this is the encoder's part.

    Raises:
        StratusError: the FLOP of the model or the arithmetic of the device is not known.
    """
    if model.flop is None:
        raise StratusError(f"the catalog has no FLOP for {model.name}: give a measured time model")
    size = model.bytes_per_parameter[precision]
    moved = (model.parameters - model.tables - model.decoder) * size + model.activation_bytes * items
    passing = seconds(model.flop * items, moved, device, precision, efficiency)
    if not model.gathered or device.bandwidth is None:
        return passing
    return passing + model.gathered * items * size / (device.bandwidth * device.memory_efficiency)


def token_seconds(
    model: Model,
    items: float,
    device: Device,
    precision: str,
    efficiency: float | None = None,
) -> float:
    """Seconds in which the decoder of an encoder-decoder generates one token for each of `items`.

    It reads its weights once and the keys and values of each item's encoding, at 16 bits.

    Raises:
        StratusError: the device does not compute at this precision.
    """
    share = device.efficiency if efficiency is None else efficiency
    computing = 2 * (model.decoder + model.cross) * items / (peak(device, precision) * share)
    if device.bandwidth is None:
        return computing
    moved = model.decoder * model.bytes_per_parameter[precision] + 2.0 * model.cross * items
    return max(computing, moved / (device.bandwidth * device.memory_efficiency))
