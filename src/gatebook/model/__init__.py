# SPDX-License-Identifier: Apache-2.0
"""Values that all floors share: who, what, where, and what was decided. Standard library only."""
