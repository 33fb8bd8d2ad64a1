# SPDX-License-Identifier: Apache-2.0
"""The shell of the data plane: clock, randomness, tasks, and the loop that answers the carrier."""
