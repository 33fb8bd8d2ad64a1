# SPDX-License-Identifier: Apache-2.0
"""The spine: what every protocol may ask of the gate, and the one file that tells the way of an operation."""
