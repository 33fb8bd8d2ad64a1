# SPDX-License-Identifier: Apache-2.0
"""The shape of PostgreSQL's raw parse tree: which fields of which node hold further nodes.

Source: pg_query.proto of libpg_query for PostgreSQL 18. A field that holds one node of a fixed kind stands in the JSON
without the kind around it; the table gives the kind. A kind or a field that is not listed here, nor has a handler,
makes the statement opaque: the walk is exhaustive or it fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NODE: Final = ""
"""The field holds nodes with their kinds around them, or a list of such."""
NAMES: Final = "-"
"""The field holds names that its handler or nobody needs: not walked."""


def _fields(text: str) -> Mapping[str, str]:
    """Read `a b:Kind c:-` as {"a": NODE, "b": "Kind", "c": NAMES}."""
    return {name: kind for name, _, kind in (part.partition(":") for part in text.split())}


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN: Final = {
    # leaves
    "A_Const": "ival:- fval:- boolval:- sval:- bsval:-",
    "Integer": "", "Float": "", "Boolean": "", "String": "", "BitString": "", "ParamRef": "", "A_Star": "",
    "Alias": "colnames:-", "SetToDefault": "", "CurrentOfExpr": "", "SQLValueFunction": "", "RoleSpec": "",
    "JsonFormat": "", "JsonReturning": "format:-", "JsonTablePathSpec": "string",
    "CTESearchClause": "search_col_list:-",
    "MergeSupportFunc": "", "TriggerTransition": "", "ReplicaIdentityStmt": "", "ReturningOption": "",
    "ATAlterConstraint": "",
    # expressions
    "List": "items", "A_Indices": "lidx uidx", "A_ArrayExpr": "elements", "NamedArgExpr": "arg",
    "BoolExpr": "args", "NullTest": "arg", "BooleanTest": "arg", "CaseWhen": "expr result",
    "RowExpr": "args colnames:-",
    "CoalesceExpr": "args", "MinMaxExpr": "args", "GroupingFunc": "args", "GroupingSet": "content",
    "MultiAssignRef": "source", "ResTarget": "indirection val", "TypeCast": "arg typeName:TypeName",
    "CollateClause": "arg collname:-", "WindowDef": "partitionClause orderClause startOffset endOffset",
    "XmlExpr": "named_args arg_names:- args", "XmlSerialize": "expr typeName:TypeName",
    "CTECycleClause": "cycle_col_list:- cycle_mark_value cycle_mark_default",
    "InferClause": "indexElems whereClause", "IndexElem": "expr collation:- opclass:- opclassopts",
    "ReturningClause": "options exprs",
    # JSON
    "JsonValueExpr": "raw_expr formatted_expr format:-", "JsonOutput": "typeName:TypeName returning:-",
    "JsonArgument": "val:JsonValueExpr", "JsonBehavior": "expr", "JsonIsPredicate": "expr format:-",
    "JsonFuncExpr": "context_item:JsonValueExpr pathspec passing output:JsonOutput on_empty:JsonBehavior "
    "on_error:JsonBehavior",
    "JsonTableColumn": "typeName:TypeName pathspec:JsonTablePathSpec format:- columns on_empty:JsonBehavior "
    "on_error:JsonBehavior",
    "JsonKeyValue": "key value:JsonValueExpr", "JsonParseExpr": "expr:JsonValueExpr output:JsonOutput",
    "JsonScalarExpr": "expr output:JsonOutput", "JsonSerializeExpr": "expr:JsonValueExpr output:JsonOutput",
    "JsonObjectConstructor": "exprs output:JsonOutput", "JsonArrayConstructor": "exprs output:JsonOutput",
    "JsonArrayQueryConstructor": "query output:JsonOutput format:-",
    "JsonAggConstructor": "output:JsonOutput agg_filter agg_order over:WindowDef",
    "JsonObjectAgg": "constructor:JsonAggConstructor arg:JsonKeyValue",
    "JsonArrayAgg": "constructor:JsonAggConstructor arg:JsonValueExpr",
    # definitions
    "DefElem": "arg", "PartitionSpec": "partParams", "PartitionElem": "expr collation:- opclass:-",
    "PartitionBoundSpec": "listdatums lowerdatums upperdatums", "PartitionRangeDatum": "value",
    "FunctionParameter": "argType:TypeName defexpr", "StatsElem": "expr", "RangeTableFuncCol":
    "typeName:TypeName colexpr coldefexpr", "ReturnStmt": "returnval", "AccessPriv": "cols:-",
    "VacuumRelation": "relation:RangeVar va_cols:-",
}  # fmt: skip

INSIDE: Final = _kinds(
    "AlterTableCmd CommonTableExpr CreateOpClassItem IntoClause LockingClause MergeWhenClause ObjectWithArgs "
    "OnConflictClause PartitionCmd PublicationObjSpec PublicationTable RawStmt WithClause"
)
"""Kinds that the handler of the statement around them reads itself; anywhere else they make it opaque."""

ANALYSED: Final = _kinds(
    "Aggref AlternativeSubPlan ArrayCoerceExpr ArrayExpr CallContext CaseTestExpr CoerceToDomain CoerceToDomainValue "
    "CoerceViaIO CollateExpr ConvertRowtypeExpr DistinctExpr FieldSelect FieldStore FromExpr FuncExpr InferenceElem "
    "InlineCodeBlock IntList JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin "
    "MergeAction NextValueExpr NullIfExpr OidList OnConflictExpr OpExpr PLAssignStmt Param Query RTEPermissionInfo "
    "RangeTblEntry RangeTblFunction RangeTblRef RelabelType ReturningExpr RowCompareExpr RowMarkClause "
    "ScalarArrayOpExpr SetOperationStmt SortGroupClause SubPlan SubscriptingRef TableFunc TableSampleClause "
    "TargetEntry Var WindowClause WindowFunc WindowFuncRunCondition WithCheckOption"
)
"""Kinds that no raw tree holds: the server's analysis, its planner or PL/pgSQL makes them; one that came is opaque."""

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {kind: _fields(text) for kind, text in _PLAIN.items()}
