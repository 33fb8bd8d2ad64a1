# SPDX-License-Identifier: Apache-2.0
"""The only door to the native module: `pure` for computation, `carrier` for files and sockets."""
