"""Results as a notebook or a script meets them: numbers, plot and files in one object.

The results of :mod:`hamexplorer.properties` know no plots; these thin objects hold a result,
pass its attributes through, and add what a person does with it next.
"""

from hamexplorer.views.anisotropy import AnisotropyView
from hamexplorer.views.bands import SUFFIXES, BandsView, DosView, within
from hamexplorer.views.comparison import ComparisonView
from hamexplorer.views.valley import ValleyMapView, ValleyView

__all__ = [
    "SUFFIXES",
    "AnisotropyView",
    "BandsView",
    "ComparisonView",
    "DosView",
    "ValleyMapView",
    "ValleyView",
    "within",
]
