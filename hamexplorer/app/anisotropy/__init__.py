"""What the Anisotropy page is made of."""
