# SPDX-License-Identifier: Apache-2.0
"""The protocols: siblings with equal file names, none of which imports another."""
