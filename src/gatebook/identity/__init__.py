# SPDX-License-Identifier: Apache-2.0
"""Who is calling: pure verification of credentials, with values and the moment passed in."""
