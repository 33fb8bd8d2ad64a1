# SPDX-License-Identifier: Apache-2.0
"""The operator's log: one line an event on standard error. Never the values of variables, which may be secrets."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs() -> None:
    """Set up logging for the process; called once, by the composition root."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
