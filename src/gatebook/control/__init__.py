# SPDX-License-Identifier: Apache-2.0
"""The shell of the control plane: pages for people and an API, in a process of their own, beside the gate."""
