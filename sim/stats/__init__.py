"""From recorded runs to numbers: metrics, intervals, accounting, closed forms."""
