# SPDX-License-Identifier: Apache-2.0
"""The gate that autonomous agents pass through, and the book that proves what they did."""
