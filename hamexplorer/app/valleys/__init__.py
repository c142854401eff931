"""What the Valleys page is made of: computing, plots, numbers."""
