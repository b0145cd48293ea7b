"""Studies: arms, axes and replications run in parallel, kept as results and compared."""
