"""HamGNN's ``graph_data.npz`` and the matrices that it predicts."""

from hamexplorer.formats.hamgnn.reader import read_hamgnn
from hamexplorer.formats.hamgnn.selection import recognises
from hamexplorer.formats.hamgnn.writer import write_hamgnn

__all__ = ["read_hamgnn", "recognises", "write_hamgnn"]
