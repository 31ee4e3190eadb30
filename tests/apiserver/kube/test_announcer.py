"""Events over a real API server."""

import pytest

from tests.contract.kube.announcer_suite import AnnouncerSuite

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestAnnouncer(AnnouncerSuite):
    pass
