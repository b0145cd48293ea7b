"""What every object of the model is handed when it is built."""

from __future__ import annotations

from dataclasses import dataclass

from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams


@dataclass(slots=True)
class Context:
    """Clock, randomness and records of one run; passed down as `ctx`, never global."""

    kernel: Kernel
    streams: RandomStreams
    recorder: Recorder
