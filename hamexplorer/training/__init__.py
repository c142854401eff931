"""Training of networks that predict ΔH = H − H0: configuration, losses, loop, evaluation."""
