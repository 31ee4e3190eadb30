"""Log lines: JSON for machines, plain for people. No payloads, no tokens, no texts of foreign servers."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from modelrollout.shell.config import LogFormat, LogLevel


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _short(record: logging.LogRecord) -> bool:
    # kopf logs a traceback per watch and try of every outage; the message names request and failure.
    if record.name.startswith("kopf"):
        record.exc_info = record.exc_text = None
    return True


def configure(format: LogFormat, level: LogLevel) -> None:
    """Send everything to standard error in this format, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if format is LogFormat.JSON else plain)
    handler.addFilter(_short)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    # One line per handled event at info: hundreds a second.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    # It would say at each start that signals are not its own: they are ours.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    for noisy in ("kopf", "aiohttp.access", "urllib3", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
