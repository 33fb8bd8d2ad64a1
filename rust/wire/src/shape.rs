// SPDX-License-Identifier: Apache-2.0
//! The shape of a statement: its tokens with the constants of literal-insensitive places replaced.
//! Texts of one shape differ in nothing but the values of those constants, so that one decision
//! may serve them all.
//!
//! A number or plain `'...'` string is replaced only
//! 1. as an operand: directly behind a comparison or arithmetic operator and before the end, `;`,
//!    `)`, `,`, another such operator or a word that ends an expression; or
//! 2. as an element: alone between the parentheses and commas of a `VALUES` or `IN` list;
//!
//! optionally signed, and never among the arguments of a function (any parenthesis behind a word
//! that is not known to be none), in brackets, or behind LIMIT, OFFSET or FETCH. What is left
//! stays as it was written: ordinals, JSON keys, typed literals, casts, other kinds of strings.
//!
//! Only a single SELECT, INSERT, UPDATE, DELETE or VALUES has a shape, only where it holds no
//! password, and only where the lexer is sure of every token ([`lexer`]).

mod lexer;
mod words;

use lexer::{Kind, Lexeme, Lexer};
use words::Word;

/// LIMIT: longer texts are keys as they are; they are rarely sent twice with other values.
pub const TEXT_BYTES: usize = 16 * 1024;
/// LIMIT: parentheses and brackets inside each other.
const DEPTH: usize = 32;
/// Marks a replaced constant; outside quotes it is in no text that the lexer takes.
const MARK: u8 = 1;

/// Puts the shape into `out`: tokens with one space between them, `\x01n` for a replaced number,
/// `\x01s` for a replaced string. False where it is not certain; `out` is of no use then.
pub fn shape(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    text.len() <= TEXT_BYTES && !is_apart(text) && Shaper::new(out).run(text).is_some()
}

/// Texts that are never judged by those of their shape. Literals of passwords are found in the
/// exact text, also in strings and comments that the shape leaves out, and are blotted out where
/// they were found: none that may hold one has a shape. Nor has one with a NUL byte.
fn is_apart(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, byte)| match byte {
        b'w' | b'W' => {
            let word = at.checked_sub(4).and_then(|start| text.get(start..at + 4));
            word.is_some_and(|word| word.eq_ignore_ascii_case(b"password"))
        }
        b':' => text.get(at + 1..at + 3) == Some(b"//"),
        byte => *byte == 0,
    })
}

/// A dollar-quoted text is searched for passwords as a statement of its own.
fn is_dollar_quoted_connection(piece: &[u8]) -> bool {
    let word = b"connection";
    piece.starts_with(b"$") && piece.windows(word.len()).any(|it| it.eq_ignore_ascii_case(word))
}

/// Where a constant would stand if it came next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where its value may matter.
    Sensitive,
    /// Behind a comparison or arithmetic operator.
    Operand,
    /// Behind `(` or `,` of a list.
    Element,
}

/// What an open parenthesis means for the constants in it.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// Arguments of a function, or brackets: nothing is replaced.
    is_call: bool,
    /// Behind LIMIT, OFFSET or FETCH: nothing is replaced.
    is_limit: bool,
    list: List,
}

/// Whether the elements of a parenthesis are replaced.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    No,
    /// Behind IN.
    In,
    /// A row of VALUES: the parenthesis behind the next comma is another.
    Row,
}

/// Progress from a row of VALUES to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    None,
    Row,
    Comma,
}

/// The last token, as far as it matters for the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Start, operator, comma.
    None,
    /// `(`.
    Open,
    /// A value ends here: a sign behind it is an operator.
    Operand,
    /// A word.
    Word(Word),
    /// A string: another quote behind it would continue it.
    Text,
}

/// A constant that is replaced if the next token allows it.
#[derive(Clone, Copy)]
struct Pending {
    start: usize,
    place: Place,
    mark: u8,
}

struct Shaper<'a> {
    out: &'a mut Vec<u8>,
    frames: [Frame; DEPTH],
    depth: usize,
    place: Place,
    pending: Option<Pending>,
    rows: Rows,
    last: Last,
}

impl<'a> Shaper<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            frames: [Frame::default(); DEPTH],
            depth: 0,
            place: Place::Sensitive,
            pending: None,
            rows: Rows::None,
            last: Last::None,
        }
    }

    /// `None` where it is not certain.
    fn run(&mut self, text: &[u8]) -> Option<()> {
        let mut lexer = Lexer::new(text);
        let mut ended = false;
        while let Some(lexeme) = lexer.next()? {
            if ended {
                return None; // more than one statement
            }
            let piece = text.get(lexeme.start..lexeme.end)?;
            let word = if lexeme.kind == Kind::Word { words::classify(piece) } else { Word::Other };
            if word == Word::Connection || is_dollar_quoted_connection(piece) {
                return None; // a conninfo string may come behind it, and is blotted out
            }
            let is_first = self.out.is_empty();
            if is_first && !(lexeme.kind == Kind::Open || word.begins_statement()) {
                return None;
            }
            self.settle(lexeme, word);
            if !is_first {
                self.out.push(b' ');
            }
            let start = self.out.len();
            self.out.extend_from_slice(piece);
            self.step(lexeme, word, start)?;
            ended = lexeme.kind == Kind::Semicolon;
        }
        self.replace_if(|_| true);
        (self.depth == 0 && !self.out.is_empty()).then_some(())
    }

    /// Replaces the constant before this token if the token allows it.
    fn settle(&mut self, next: Lexeme, word: Word) {
        let ends_element = matches!(next.kind, Kind::Comma | Kind::Close);
        let ends_operand = match next.kind {
            Kind::Semicolon | Kind::Sign | Kind::Compare | Kind::Times => true,
            Kind::Word => word.ends_expression(),
            _ => ends_element,
        };
        self.replace_if(|place| match place {
            Place::Element => ends_element,
            Place::Operand => ends_operand,
            Place::Sensitive => false,
        });
    }

    fn replace_if(&mut self, allows: impl Fn(Place) -> bool) {
        if let Some(pending) = self.pending.take().filter(|pending| allows(pending.place)) {
            self.out.truncate(pending.start);
            self.out.extend_from_slice(&[MARK, pending.mark]);
        }
    }

    /// Takes a token that has been written at `start`.
    fn step(&mut self, lexeme: Lexeme, word: Word, start: usize) -> Option<()> {
        let rows = std::mem::replace(&mut self.rows, Rows::None);
        let place = std::mem::replace(&mut self.place, Place::Sensitive);
        let last = std::mem::replace(&mut self.last, Last::None);
        match lexeme.kind {
            Kind::Word => {
                self.begin_query(word, last)?;
                self.top()?.is_limit |= matches!(word, Word::Limit | Word::Fetch);
                self.last = Last::Word(word);
            }
            Kind::Number | Kind::Text => {
                let is_text = lexeme.kind == Kind::Text;
                if is_text && last == Last::Text {
                    return None; // may be one string continued on another line
                }
                let mark = if is_text { b's' } else { b'n' };
                self.pending =
                    (place != Place::Sensitive).then_some(Pending { start, place, mark });
                self.last = if is_text { Last::Text } else { Last::Operand };
            }
            Kind::Special if last == Last::Text => return None,
            Kind::Special => self.last = Last::Text,
            Kind::Identifier | Kind::Parameter => self.last = Last::Operand,
            Kind::Compare => self.place = self.operand()?,
            Kind::Times | Kind::Sign if last.ends_operand() => self.place = self.operand()?,
            Kind::Sign => self.place = place, // belongs to the constant behind it
            Kind::Open => self.open(last, rows)?,
            Kind::Bracket => self.push(Frame { is_call: true, ..Frame::default() })?,
            Kind::Close | Kind::CloseBracket => {
                let closed = self.pop()?;
                self.rows = if closed.list == List::Row { Rows::Row } else { Rows::None };
                self.last = Last::Operand;
            }
            Kind::Comma => {
                self.place = self.element()?;
                self.rows = if rows == Rows::Row { Rows::Comma } else { Rows::None };
            }
            Kind::Times | Kind::Operator | Kind::Semicolon | Kind::Other => {}
        }
        Some(())
    }

    /// A parenthesis that begins with a query holds no arguments and no list.
    fn begin_query(&mut self, word: Word, last: Last) -> Option<()> {
        if last == Last::Open && word.begins_statement() {
            let top = self.top()?;
            *top = Frame { is_limit: top.is_limit, ..Frame::default() };
        }
        Some(())
    }

    fn open(&mut self, last: Last, rows: Rows) -> Option<()> {
        let outer = *self.top()?;
        let word = if let Last::Word(word) = last { Some(word) } else { None };
        let elements = match word {
            Some(Word::Values) => List::Row,
            Some(Word::In) => List::In,
            _ if rows == Rows::Comma => List::Row,
            _ => List::No,
        };
        let begins = matches!(last, Last::None | Last::Open);
        let is_plain = elements != List::No || word.map_or(begins, Word::precedes_expression);
        let is_call = outer.is_call || !is_plain;
        let frame = Frame { is_call, is_limit: outer.is_limit, list: elements };
        self.push(frame)?;
        self.last = Last::Open;
        self.place = self.element()?;
        Some(())
    }

    fn push(&mut self, frame: Frame) -> Option<()> {
        self.depth += 1;
        *self.frames.get_mut(self.depth)? = frame;
        Some(())
    }

    fn pop(&mut self) -> Option<Frame> {
        let closed = *self.top()?;
        self.depth = self.depth.checked_sub(1)?;
        Some(closed)
    }

    fn top(&mut self) -> Option<&mut Frame> {
        self.frames.get_mut(self.depth)
    }

    fn operand(&mut self) -> Option<Place> {
        let top = self.top()?;
        Some(if top.is_call || top.is_limit { Place::Sensitive } else { Place::Operand })
    }

    fn element(&mut self) -> Option<Place> {
        let top = self.top()?;
        let is_free = top.list != List::No && !top.is_call && !top.is_limit;
        Some(if is_free { Place::Element } else { Place::Sensitive })
    }
}

impl Last {
    fn ends_operand(self) -> bool {
        match self {
            Self::None | Self::Open => false,
            Self::Operand | Self::Text => true,
            Self::Word(word) => word == Word::Other,
        }
    }
}

#[cfg(test)]
mod tests;
