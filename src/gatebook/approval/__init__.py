# SPDX-License-Identifier: Apache-2.0
"""May they now: requests for consent, votes, and what ends them. One transition table; no clock, no storage."""
