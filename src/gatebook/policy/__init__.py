# SPDX-License-Identifier: Apache-2.0
"""May they: Cedar policies, loaded strictly and evaluated so that every doubt is a no."""

from gatebook.policy.engine import Engine, Explained, load
from gatebook.policy.evaluation import Evaluation
from gatebook.policy.faults import PolicyFault, Problem
from gatebook.policy.schema import PERMIT_ALL, SCHEMA_TEXT

__all__ = ["PERMIT_ALL", "SCHEMA_TEXT", "Engine", "Evaluation", "Explained", "PolicyFault", "Problem", "load"]
