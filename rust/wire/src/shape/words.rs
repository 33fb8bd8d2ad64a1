// SPDX-License-Identifier: Apache-2.0
//! The words of SQL that tell where an expression begins and ends.

/// What a word means for the constants around it. A word that is not listed may be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// SELECT, WITH, INSERT, UPDATE, DELETE: head of a statement or sub-query.
    Query,
    /// VALUES: as `Query`, and rows come behind it.
    Values,
    /// IN: a list or a query comes behind it.
    In,
    /// LIMIT, OFFSET: end an expression, and how many rows come is said behind them.
    Limit,
    /// FETCH: the same, but taken to end none.
    Fetch,
    /// Ends an expression and begins another: AND, WHERE, THEN, ...
    Between,
    /// Ends an expression, and what comes behind it is none at once: FOR, END, RETURNING, ...
    Ends,
    /// Begins an expression: NOT, BY, CASE, ...
    Begins,
    /// CONNECTION.
    Connection,
    /// Anything else.
    Other,
}

/// LIMIT: bytes of the longest listed word.
const LONGEST: usize = 10;

/// Which word it is, whatever its case.
pub(super) fn classify(word: &[u8]) -> Word {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return Word::Other };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"select" | b"with" | b"insert" | b"update" | b"delete" => Word::Query,
        b"values" => Word::Values,
        b"in" => Word::In,
        b"limit" | b"offset" => Word::Limit,
        b"fetch" => Word::Fetch,
        b"and" | b"or" | b"where" | b"then" | b"else" | b"when" | b"from" | b"having" => {
            Word::Between
        }
        b"returning" | b"order" | b"group" | b"for" | b"end" | b"union" => Word::Ends,
        b"not" | b"by" | b"case" | b"on" | b"using" | b"set" | b"distinct" | b"between"
        | b"like" | b"ilike" | b"is" | b"join" | b"as" | b"all" | b"except" | b"intersect" => {
            Word::Begins
        }
        b"connection" => Word::Connection,
        _ => Word::Other,
    }
}

impl Word {
    /// Whether a statement of this kind may have a shape, or a sub-query begins.
    pub(super) fn begins_statement(self) -> bool {
        matches!(self, Self::Query | Self::Values)
    }

    /// Whether an expression is complete before it.
    pub(super) fn ends_expression(self) -> bool {
        matches!(self, Self::Between | Self::Ends | Self::Limit)
    }

    /// Whether a parenthesis behind it groups an expression and calls nothing.
    pub(super) fn precedes_expression(self) -> bool {
        matches!(self, Self::Between | Self::Begins | Self::Query)
    }
}
