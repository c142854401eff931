"""H0 from superposed free atoms, in real space: linear in the number of atoms."""
