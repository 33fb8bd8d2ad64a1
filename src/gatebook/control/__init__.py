# SPDX-License-Identifier: Apache-2.0
"""The control plane: what people do about the gate, by command line, console and API. Never on the data path."""
