# SPDX-License-Identifier: Apache-2.0
"""The gate that autonomous agents pass through, and the book that proves what they did."""

__version__ = "0.1.0"
