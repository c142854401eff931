"""The pages of the app: each has ``main`` (or none) and ``side``, placed by the shell."""
