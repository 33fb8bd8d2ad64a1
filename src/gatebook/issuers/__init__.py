# SPDX-License-Identifier: Apache-2.0
"""What issuers of tokens publish, fetched and kept current: for the gate, and for whoever else verifies tokens."""
