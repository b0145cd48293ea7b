"""What a run leaves behind: plain data, which is all that statistics and reports ever see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernel.recorder import TextColumn


@dataclass(slots=True)
class Outcome:
    """One run of one platform.

    Attributes:
        tables: per table of `sim.tables` its columns, all of one length.
        steps: per recorded quantity the moments it changed at, in seconds, and its value from each on.
        facts: what the numbers refer to: services, pools with price and power, sites, links, the
            window of measurement and how the run ended.
    """

    tables: dict[str, dict[str, NDArray[np.generic] | TextColumn]]
    steps: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    facts: dict[str, Any]
