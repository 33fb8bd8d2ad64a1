# SPDX-License-Identifier: Apache-2.0
"""The command line: thin commands that load settings, call one part of the product, and print."""
