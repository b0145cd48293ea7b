"""The power curve of a machine put together from its parts, where nobody has measured the whole.

The Teads EC2 dataset (cloud-carbon-footprint/ccf-coefficients@b0032d9, data/aws-instances.csv) gives
watts of whole instances at idle, 10, 50 and 100 % load as processor + memory + accelerators +
platform. For other machines the same four parts are summed from the constants below.
"""

from __future__ import annotations

from sim.catalog.cards import Curve, Device

#: Loads at which curves are given, as in the Teads dataset.
LOADS = (0.0, 0.1, 0.5, 1.0)

#: Watts of one vCPU at idle and at full load: medians over the processor generations of
#: ccf-coefficients@b0032d9 output/coefficients-aws-use.csv, without its two copied or outlying rows
#: (Graviton, EPYC 5th generation). Linear in between, as that project uses them.
CPU = (0.7128, 3.7582)

#: Watts of one GB of memory at `LOADS`: what Teads assigns where memory was not measured.
MEMORY = (0.2, 0.3, 0.4, 0.6)

#: Watts of everything else (fans, board, network) per vCPU: Teads' full-machine delta of m5.
PLATFORM = 1.0

#: Share of the way from idle to peak that an accelerator has gone at `LOADS`: the one shape all
#: GPU rows of Teads follow (11.4, 31.3, 73.9 and 100 % of the peak).
SHAPE = (0.0, 0.2246, 0.7054, 1.0)


def compose(cpu: float, memory: float, device: Device | None, accelerators: int) -> Curve:
    """Power curve of a machine of `cpu` virtual cores, `memory` bytes and its accelerators.

    Raises:
        ValueError: the accelerator's idle or peak power is not known.
    """
    idle = peak = 0.0
    if device is not None and accelerators:
        if device.idle_w is None or device.peak_w is None:
            raise ValueError(f"no power is known for {device.name}; give the power curve of the machine")
        idle, peak = device.idle_w * accelerators, device.peak_w * accelerators
    return tuple(
        (
            load,
            cpu * (CPU[0] + load * (CPU[1] - CPU[0]) + PLATFORM)
            + memory / 1e9 * MEMORY[i]
            + idle
            + SHAPE[i] * (peak - idle),
        )
        for i, load in enumerate(LOADS)
    )
