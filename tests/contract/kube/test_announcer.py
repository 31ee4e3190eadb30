"""Events over the fake API server."""

from tests.contract.kube.announcer_suite import AnnouncerSuite


class TestAnnouncer(AnnouncerSuite):
    pass
