"""The embedded DFT engine: Gaussians and plane waves on PySCF's integrals."""
