"""Clock, events, waiting lines, random streams, distributions and records; knows nothing of clouds."""
