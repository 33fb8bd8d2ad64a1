# SPDX-License-Identifier: Apache-2.0
"""State that must outlive a process: people and keys, behind interfaces that speak the product's verbs."""
