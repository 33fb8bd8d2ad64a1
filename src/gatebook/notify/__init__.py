# SPDX-License-Identifier: Apache-2.0
"""What is told to whom when something waits for people: events, messages, and the queue of what is not taken yet."""
