"""Pickles of foreign files, read with nothing of pickle's power: no code of theirs is found, no
class of theirs is made, and Python's own unpickler is not used.
"""

from hamexplorer.formats.restricted_pickle.load import load_pickle
from hamexplorer.formats.restricted_pickle.machine import Constant
from hamexplorer.formats.restricted_pickle.npy_header import NpyHeader, read_npy_header
from hamexplorer.formats.restricted_pickle.object_array import read_object_array
from hamexplorer.formats.restricted_pickle.records import GlobalName, Record
from hamexplorer.formats.restricted_pickle.torch_storage import STORAGE_TYPES, Storage

__all__ = [
    "STORAGE_TYPES",
    "Constant",
    "GlobalName",
    "NpyHeader",
    "Record",
    "Storage",
    "load_pickle",
    "read_npy_header",
    "read_object_array",
]
