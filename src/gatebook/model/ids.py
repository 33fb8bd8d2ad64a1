# SPDX-License-Identifier: Apache-2.0
"""Distinct types for the ids that travel between floors, so that one is never taken for another."""

from typing import NewType

SessionId = NewType("SessionId", str)
OperationId = NewType("OperationId", str)
EvaluationId = NewType("EvaluationId", str)
PolicyId = NewType("PolicyId", str)
TargetName = NewType("TargetName", str)
RoleName = NewType("RoleName", str)
KeyId = NewType("KeyId", str)
WriterId = NewType("WriterId", str)
