import pytest
from tests.small_networks import TRACKER, sharp_tracker


@pytest.fixture(scope="session")
def config():
    return TRACKER


@pytest.fixture(scope="session")
def network():
    return sharp_tracker(0)


@pytest.fixture(scope="session")
def other_network():
    return sharp_tracker(1)
