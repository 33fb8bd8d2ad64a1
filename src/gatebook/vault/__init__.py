# SPDX-License-Identifier: Apache-2.0
"""Durable evidence on this machine: journals, recordings, and the keys that open them."""
