"""Logs of the gateway: one JSON object a line on stderr, which the OpCenter has directed to gateway.log."""

from __future__ import annotations

import logging
import os
import sys

import structlog

from gateway.logfile import lines_to


def set_up_logs() -> None:
    """Once, at the start of a process. `$FLOATGATE_LOG_LEVEL`: debug, info (default), warning, error."""
    level = logging.getLevelNamesMapping().get(os.environ.get("FLOATGATE_LOG_LEVEL", "info").upper(), logging.INFO)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lines_to(sys.stderr.fileno()),
        cache_logger_on_first_use=True,
    )
