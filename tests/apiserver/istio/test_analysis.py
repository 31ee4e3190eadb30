"""Statuses that a real istiod writes where its analysis is on: an error in them is a refusal."""

from __future__ import annotations

from e2e.cluster.apiserver import ApiServer
from e2e.cluster.istio import Istiod
from modelrollout.adapters.kube.resources import SERVICES
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import Istio
from tests.apiserver.istio.stage import MARKS, Mesh
from tests.contract.kube.harness import CANDIDATE, Kube
from tests.contract.kube.routes import seen
from tests.contract.kube.virtual_services import NAME, pair, virtual_service

pytestmark = MARKS

FIRST_CODE = "{.status.validationMessages[0].type.code}"


async def test_a_service_that_is_not_there_is_a_refusal_where_istiod_writes_statuses(
    server: ApiServer, kube: Kube, mesh: Mesh
) -> None:
    await kube.other.delete(SERVICES, kube.namespace, CANDIDATE)
    await virtual_service(kube, pair(), host=f"{kube.namespace}.example.com")
    routing, spec = KubeRouting(kube.reader), kube.spec(Istio(NAME))
    assert seen(await routing.observe(spec, fresh=True)).accepted is True
    with Istiod(server.kubeconfig, analysis=True):
        waiting = ["wait", f"--for=jsonpath={FIRST_CODE}=IST0101", "--timeout=60s", f"virtualservice/{NAME}"]
        server.kubectl("--namespace", kube.namespace, *waiting)
    found = seen(await routing.observe(spec, fresh=True))
    assert found.accepted is False
    assert found.detail == (
        "Istio's analysis finds errors in the VirtualService: IST0101"
        f" (`istioctl analyze -n {kube.namespace}` tells all of them)"
    )
