"""Platform: what is decided - scheduling, scaling, serving, training."""
