"""What there is: nodes and pools, links, storage, faults, the speed and power of devices."""
