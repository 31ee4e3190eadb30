"""The modules whose assertions pytest is to rewrite: contract suites, which it would not take for tests itself."""

from pathlib import Path

SUITES = sorted(path.stem for path in Path(__file__).parent.glob("*_suite.py"))
MODULES = tuple(f"tests.contract.kube.{name}" for name in ("routes", *SUITES))
