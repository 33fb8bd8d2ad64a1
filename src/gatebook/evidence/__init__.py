# SPDX-License-Identifier: Apache-2.0
"""The formats of evidence, pure: entries, journal segments, private parts, recordings, and what verifies them."""
