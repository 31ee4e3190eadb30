"""The contract of an API server over a real one."""

import pytest

from tests.contract.kube.server_patches_suite import Deletion, Patches
from tests.contract.kube.server_reads_suite import Lists, Watches
from tests.contract.kube.server_schema_suite import Schemas
from tests.contract.kube.server_writes_suite import Creation, Generations, Versions

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


class TestCreation(Creation):
    pass


class TestVersions(Versions):
    pass


class TestGenerations(Generations):
    pass


class TestPatches(Patches):
    pass


class TestDeletion(Deletion):
    pass


class TestSchemas(Schemas):
    pass


class TestLists(Lists):
    pass


class TestWatches(Watches):
    pass
