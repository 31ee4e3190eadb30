"""Grafana's dashboards of the chart, for three kinds of reader; `make chart` writes them.

Every panel says what it shows and when to worry. Queries take the highest value over replicas, for a standby shows no
rollouts.
"""

from e2e.dashboards.debug import DEBUG
from e2e.dashboards.executive import EXECUTIVE
from e2e.dashboards.oncall import ONCALL

DASHBOARDS = (EXECUTIVE, ONCALL, DEBUG)
