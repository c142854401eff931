"""Networks that predict ΔH_scalar = H − H0 on the pairs of a crystal."""
