"""Sets of self-consistent Hamiltonians for training: recipes, generation, storage, splits."""

from hamexplorer.datasets.sample import Sample, SampleInfo
from hamexplorer.datasets.split import PARTS, Part
from hamexplorer.datasets.store import DataSet

__all__ = ["PARTS", "DataSet", "Part", "Sample", "SampleInfo"]
