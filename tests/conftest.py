"""What every test runs under: one BLAS thread, a cache of its own, hypothesis profiles."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# Before numpy and torch are imported, which read these once. With more threads on busy cores,
# 300 diagonalisations of 52x52 took 26 s instead of 0.22 s.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MPLBACKEND"] = "Agg"

# No deadlines: on a shared machine a first call (imports, compilation) may take seconds.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure(config: pytest.Config) -> None:
    """Point the cache at a directory of this session, before any module can read where it is."""
    directory = tempfile.mkdtemp(prefix="hamexplorer-tests-")
    os.environ["HAMEXPLORER_CACHE_DIR"] = directory
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shares for ``make test``'s two workers: a module stays whole, for its tests share fixtures;
    browser tests are one share, for two browsers at once would starve each other of processors.
    """
    for item in items:
        alone = item.get_closest_marker("browser") is not None
        group = "browser" if alone else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's ``executable_path``; skips where none is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
