"""The CRD's rules and their Python twins say the same about objects drawn at random."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import ApiException

from modelrollout.api import crd, v1alpha1
from modelrollout.api.reading import parse
from modelrollout.api.rules import ApiModel
from modelrollout.core.observation import SpecProblem
from tests.apiserver.conftest import Resources
from tests.structural import drawn

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(900)]

NAMES = st.sampled_from(["a", "b", "c.d", "e" * 64])
FEW_DURATIONS = st.sampled_from(
    ["0s", "0.5s", "1s", "59.999s", "60s", "1m1s", "100ms", "99ms", "5s", "5001ms", "1h", "1d", "-1s", ""]
)
FEW_PERCENTS = st.sampled_from(["0%", "0.0001%", "100%", "100.0001%", "50%", "2", "%", ""])
FEW_TOLERANCES = st.sampled_from(["0.001%", "0.0009%", "10%", "10.0001%", "0%", "0.05", ""])
FEW_RATIOS = st.sampled_from(["0.5", "0.499999", "1", "1.0", "1.000001", "10", "10.000001", "0", "-1", "1e0", ""])
FEW_DIFFERENCES = st.sampled_from(["0", "0.000000", "0.000001", "0.5", "0.500001", "1", ".1", ""])
FEW_RATES = st.sampled_from(["0", "0.0001", "0.000099", "0.001", "0.000999", "0.1", "0.100001", "0.2", "0.200001", "1"])
FEW_FACTORS = st.sampled_from(
    [1, 2, 10, 11, -1, "1.2", "1.199", "2.7", "10", "10.0", "10.001", "02", "2.7000", "2.", "x", ""]
)
FEW_STARTS = st.sampled_from(
    [0, 1, 50, 51, 100, -1, "0.01", "0", "50", "50.00", "50.01", "100", "101", "0.001", "x", "05"]
)
FEW_OBJECTIVES = st.sampled_from(["0", "0.000001", "99.999999", "100", "101", "000", "99.9%", "-1", ""])
FEW_WEIGHTS = st.sampled_from(
    [0, 1, 5, 50, 100, 101, -1, "0", "0.01", "5.0", "5", "99.99", "100.0", "100.01", "x", "05", "1."]
)
FEW_PATHS = st.sampled_from(
    ["/", "/a/", "//", "/a//b", "/.", "/..", "/./a", "/a/../b", "/a..", "/.a", "/%2f", "/%2Fa", "/%20"]
)
FEW_KEYS = st.sampled_from(["a", "_a", "__a", "a-b", "1a", "", "a" * 128, "a" * 129, "é", "class"])
FEW_PATTERNS = st.sampled_from(
    ["5..", "a*b+c*d*", "a*b+c*d*e+", "(a|b)?", "(a)*", "((a))", r"\.", r"\b", "[a]", "[]", "a{2}", "", "(", "é", "a\n"]
)
FEW_HEADERS = st.sampled_from(
    ["X-A", "x", "-", "", "authorization", "Host", "COOKIE", "X_A", "X A", "a" * 64, "a" * 65, "é"]
)


def specialised(schema: dict[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Like `drawn`, but near the edges of the rules, where random text would hardly ever get."""
    edges: dict[str, st.SearchStrategy[Any]] = {
        # Half of these are right, or a list of them would hardly ever be.
        "weight": st.just(100) | FEW_WEIGHTS,
        "deployment": NAMES,
        "service": st.sampled_from(["a", "b"]),
        "objective": st.just("99") | FEW_OBJECTIVES,
        "rolloutShare": FEW_PERCENTS,
        "minRemaining": FEW_PERCENTS,
        "minCoverage": FEW_PERCENTS,
        "tolerance": FEW_TOLERANCES,
        "ratio": FEW_RATIOS,
        "difference": FEW_DIFFERENCES,
        "falseRollback": FEW_RATES,
        "falsePromote": FEW_RATES,
        "growth": FEW_FACTORS,
        "from": FEW_STARTS,
        "match": st.dictionaries(FEW_KEYS, st.just("v"), max_size=2),
        "matchRegex": st.dictionaries(FEW_KEYS, FEW_PATTERNS, max_size=2),
        "headers": st.dictionaries(FEW_HEADERS, st.just("v"), max_size=2),
        "legacy": st.sampled_from(["a", "b"]),
        "candidate": st.sampled_from(["a", "b"]),
    }
    kind = schema.get("type")
    if name == "value" and schema["maxLength"] == 256 and schema["pattern"].startswith("^/"):
        return FEW_PATHS
    if (
        name in edges
        and not (name in ("legacy", "candidate") and kind != "string")
        and not (name == "headers" and kind == "array")
    ):
        return edges[name]
    if "h)){1,4}$" in schema.get("pattern", ""):
        return FEW_DURATIONS
    if kind == "object" and "properties" in schema:
        required = set(schema.get("required", ()))
        children = {key: specialised(child, key) for key, child in schema["properties"].items()}
        children |= {key: st.just({}) | children[key] for key in ("margin", "labels") if key in children}
        return st.fixed_dictionaries(
            {key: value for key, value in children.items() if key in required},
            optional={key: value for key, value in children.items() if key not in required},
        )
    if kind == "array":
        low = schema.get("minItems", 0)
        return st.lists(specialised(schema["items"]), min_size=low, max_size=min(low + 2, schema["maxItems"]))
    return drawn(schema)


def spec_schema(kind: crd.Kind) -> dict[str, Any]:
    version = crd.definition(kind)["spec"]["versions"][0]
    found = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert isinstance(found, dict)
    return found


def refusal(resources: Resources, obj: dict[str, Any]) -> str:
    """What the server says against the object; nothing when it takes it."""
    try:
        resources.create(obj, dry_run=True)
    except ApiException as refused:
        return f"{refused.status} {refused.body}"
    return ""


# One part at a time, the rest right: in a whole object something is nearly always wrong.
ROLLOUT = {
    "legacy": {"deployment": "a1"},
    "candidate": {"deployment": "b1"},
    "traffic": {"adoptRoute": {"name": "r"}},
    "steps": [{"weight": 100}],
    "slis": [{"name": "s", "profile": "a/b", "objective": "99"}],
}
PROFILE = {"summary": "s", "without": [{"name": "x", "reason": "r"}]}
PROFILE |= {"display": [{"name": "q", "summary": "s", "unit": "events", "gauge": {"names": ["g"]}}]}
CASES = [
    ("ModelRollout", ROLLOUT, ("legacy", "candidate")),
    ("ModelRollout", ROLLOUT, ("traffic",)),
    ("ModelRollout", ROLLOUT, ("steps", "stepDefaults")),
    ("ModelRollout", {key: value for key, value in ROLLOUT.items() if key != "steps"}, ("ramp",)),
    ("ModelRollout", ROLLOUT, ("slis",)),
    ("ModelRollout", ROLLOUT, ("analysis",)),
    ("ModelRollout", ROLLOUT, ("errorBudget", "analysis", "candidateDeadline", "port")),
    ("MetricSource", {}, ("prometheus",)),
    ("MetricSource", {"prometheus": {"address": "http://p"}}, ("arms", "allowedNamespaces", "scrapeInterval")),
    ("RolloutAction", {}, ("rollout", "action", "revision", "reason")),
    ("SliProfile", PROFILE, ("arms",)),
    ("SliProfile", {"summary": "s"}, ("display", "without")),
    ("SliProfile", {"summary": "s"}, ("slis",)),
]
KINDS = {kind.name: kind for kind in crd.KINDS}
SPECS: dict[str, type[ApiModel]] = {
    "ModelRollout": v1alpha1.RolloutSpec,
    "MetricSource": v1alpha1.SourceSpec,
    "RolloutAction": v1alpha1.ActionSpec,
    "SliProfile": v1alpha1.SliProfileSpec,
}


@pytest.mark.parametrize(("name", "rest", "fields"), CASES, ids=[f"{name}-{fields[0]}" for name, _, fields in CASES])
def test_server_and_python_agree(
    resources: Resources, name: str, rest: dict[str, Any], fields: tuple[str, ...]
) -> None:
    kind = KINDS[name]
    schema = spec_schema(kind)
    verdicts: set[bool] = set()
    strategy = st.fixed_dictionaries({field: specialised(schema["properties"][field], "") for field in fields})

    @settings(
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        deadline=None,
        # Most SLIs drawn break a rule that ties their fields together.
        max_examples=600 if fields == ("slis",) else 120,
        derandomize=True,
        database=None,
    )
    @given(drawn_part=strategy)
    def compare(drawn_part: dict[str, Any]) -> None:
        metadata = {"generateName": "x-", **({"namespace": "default"} if kind.scope == "Namespaced" else {})}
        obj = {
            "apiVersion": "modelrollout.dev/v1alpha1",
            "kind": name,
            "metadata": metadata,
            "spec": {**rest, **drawn_part},
        }
        said = refusal(resources, obj)
        assert "evaluating rule" not in said
        problem = parse(SPECS[name], obj, strict=True)
        assert bool(said) == isinstance(problem, SpecProblem), (said, problem)
        verdicts.add(bool(said))

    compare()
    assert True in verdicts or name == "RolloutAction"
    assert False in verdicts
