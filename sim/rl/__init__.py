"""Training of autoscalers by reinforcement learning, over the loop that scenarios run."""
