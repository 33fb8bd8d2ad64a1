# SPDX-License-Identifier: Apache-2.0
"""What people look at, whatever shell shows it: the command line and the console read the book the same way."""
