# SPDX-License-Identifier: Apache-2.0
"""What every process of ours has, whatever it serves: its log, and its tasks."""
