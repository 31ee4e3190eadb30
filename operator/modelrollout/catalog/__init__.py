"""SLI profiles of model servers and gateways, as data, and their resolution to plans."""

from modelrollout.catalog.profiles import Catalogue
from modelrollout.catalog.reading import builtin
from modelrollout.catalog.resolve import Resolved, alternatives, resolve, service_view

__all__ = ["Catalogue", "Resolved", "alternatives", "builtin", "resolve", "service_view"]
