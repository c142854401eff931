"""Sets of self-consistent Hamiltonians for training: recipes, storage, splits."""
