# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: what its messages mean, and how the gate speaks it."""
