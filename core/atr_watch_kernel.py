"""Whether the equity of a finished ATR grid ever came near a limit on its fall, compiled: the compiled run has no limit.

The engine looks at a bot's equity at the points of the path, after each round of fills, and lets the peak follow in steps.
Here every point is looked at, before and after each fill, and the peak is the highest of all: no smaller than the
engine's, so that a fall which is not found here is none there. In floats, for this grid's money has up to thirty digits,
more than 64 bits hold: `slack` covers what floats lose, and a run that comes so near is the core's.
"""

import numpy as np
from numpy.typing import NDArray

from core.path_kernel import price_at, rises_first

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def watch(
    open_: Ints, high: Ints, low: Ints, close: Ints, open_2: Ints, high_2: Ints, low_2: Ints, close_2: Ints,
    path: int, at: Ints, base: Floats, base_2: Floats, cash: Floats, keep: float, slack: float,
) -> int:  # fmt: skip
    """Return the first bar with an equity that is `slack` quote above `keep` of its peak, or below that; -1 where none has.

    `at` is the point of the path, four a bar, at which each fill or payment was booked; `base`, `base_2` (spot and futures,
    in units of which a price makes quote) and `cash` are what was held after each number of them, none included.
    """
    j, count, peak = 0, len(at), cash[0]
    for i in range(len(close)):
        if base[j] == 0 and base_2[j] == 0 and (j == count or at[j] > 4 * i + 3):
            continue  # money alone
        rises = rises_first(open_[i], high[i], low[i], path)
        for k in range(4):
            price = price_at(k, open_[i], high[i], low[i], close[i], rises)
            price_2 = price_at(k, open_2[i], high_2[i], low_2[i], close_2[i], rises)
            while True:
                worth = cash[j] + base[j] * price + base_2[j] * price_2
                peak = max(peak, worth)
                if worth <= peak * keep + slack:
                    return i
                if j == count or at[j] > 4 * i + k:
                    break
                j += 1
    return -1
