"""Valleys of layers: where K and K′ are, how they differ, and maps of the whole zone."""

from hamexplorer.properties.valley.chern import ValleyChern, valley_chern
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.properties.valley.find import Valley, find_valleys
from hamexplorer.properties.valley.map import MAP_FIELDS, MapField, ValleyMap, valley_map
from hamexplorer.properties.valley.readout import ValleyPair, ValleyReadout, valley_readouts
from hamexplorer.properties.valley.splitting import ValleySplitting, valley_splitting

__all__ = [
    "MAP_FIELDS",
    "MapField",
    "Valley",
    "ValleyChern",
    "ValleyMap",
    "ValleyPair",
    "ValleyReadout",
    "ValleySplitting",
    "edge_bands",
    "find_valleys",
    "valley_chern",
    "valley_map",
    "valley_readouts",
    "valley_splitting",
]
