"""Networks that predict Hamiltonians."""
