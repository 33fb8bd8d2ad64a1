# SPDX-License-Identifier: Apache-2.0
"""Sealed entries in the form in which they leave for other systems."""
