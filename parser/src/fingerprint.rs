//! The text with its literals lifted out: half of the plan-cache key.
//!
//! Called by the session for simple queries, before parsing: on a hit nothing is parsed at all. Works on tokens alone, and
//! gives up (`None`) whenever tokens cannot prove that the lifted text means the same: the caller then plans the
//! text as it is. On a miss the caller parses [`Fingerprint::text`], in which parameter `$i` stands for literal `i`.
//!
//! The binder must treat such a parameter as the literal it stands for, its value apart: a string is of type unknown
//! (not text), an integer is int4 or int8 by its size, which is part of the text's key through [`Literal::kind`].
//!
//! Holds: parsing the lifted text and putting the literals back gives the tree of the text itself.

use types::Span;

use crate::ast::ConstValue;
use crate::keyword::{Category, Keyword as K};
use crate::lexer::{Tok, Token, tokenize};
use crate::literal;

/// What [`fingerprint`] finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Fingerprint {
    /// The tokens with one blank between them, names folded to lower case, `$1`, `$2` … for the literals.
    pub text: String,
    pub literals: Vec<Literal>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    /// Integer, Numeric or String; a leading minus is part of it.
    pub value: ConstValue,
    /// Where it stood in the original text.
    pub span: Span,
}

/// The type a literal has before any context: it belongs into the key beside the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    Int4,
    Int8,
    Numeric,
    Unknown,
}

impl Literal {
    pub fn kind(&self) -> LiteralKind {
        match &self.value {
            ConstValue::Integer(value) if i32::try_from(*value).is_ok() => LiteralKind::Int4,
            ConstValue::Integer(_) => LiteralKind::Int8,
            ConstValue::Numeric(_) => LiteralKind::Numeric,
            _ => LiteralKind::Unknown,
        }
    }
}

/// Longer texts, and texts with more literals, are not worth a place in a cache.
const MAX_TEXT_BYTES: usize = 8192;
const MAX_LITERALS: usize = 128;

/// Lifts the literals out of a single SELECT, INSERT, UPDATE or DELETE. `None` where it is not one of these, has nothing
/// to lift, has parameters of its own, does not scan, or has a clause in which a literal's value is part of its meaning
/// (GROUP BY, DISTINCT, set operations, VALUES outside INSERT).
pub fn fingerprint(text: &str) -> Option<Fingerprint> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let tokens = tokenize(text);
    if tokens.error.is_some() {
        return None;
    }
    let mut list = tokens.list;
    // Semicolons at the end say nothing; elsewhere they part statements.
    while let [.., semicolon, _end] = list.as_slice()
        && semicolon.tok == Tok::Char(b';')
    {
        list.remove(list.len() - 2);
    }
    let first = list.first()?.tok;
    if !matches!(first, Tok::Keyword(K::Select | K::Insert | K::Update | K::Delete)) {
        return None;
    }
    Lifter { text, tokens: &list, first, parens: Vec::new(), no_lift: 0, literals: Vec::new() }.run()
}

/// One open parenthesis or bracket.
struct Paren {
    /// Nothing is lifted in it, nor in what it contains.
    closed: bool,
    /// ORDER BY at this level has begun: an integer there is a position.
    ordering: bool,
}

struct Lifter<'t> {
    text: &'t str,
    tokens: &'t [Token],
    first: Tok,
    parens: Vec<Paren>,
    /// How many open parentheses and clauses forbid lifting.
    no_lift: usize,
    literals: Vec<Literal>,
}

impl Lifter<'_> {
    fn tok(&self, at: usize) -> Tok {
        self.tokens.get(at).map_or(Tok::End, |token| token.tok)
    }

    fn before(&self, at: usize, back: usize) -> Tok {
        at.checked_sub(back).map_or(Tok::End, |at| self.tok(at))
    }

    fn run(mut self) -> Option<Fingerprint> {
        let mut out = String::with_capacity(self.text.len());
        let mut ordering = false;
        let mut conflict = false;
        let mut at = 0;
        while let Some(token) = self.tokens.get(at).copied() {
            match token.tok {
                Tok::End => break,
                Tok::Param | Tok::Bad | Tok::Char(b';') => return None,
                Tok::Keyword(keyword) => match keyword {
                    K::Group if matches!(self.tok(at + 1), Tok::Keyword(K::By)) => return None,
                    K::Distinct if self.before(at, 1) != Tok::Keyword(K::Is) && !self.follows_is_not(at) => {
                        return None;
                    }
                    K::Union | K::Intersect | K::Except | K::Into if self.parts_queries(keyword) => {
                        return None;
                    }
                    K::Values if self.first != Tok::Keyword(K::Insert) || !self.parens.is_empty() => {
                        return None;
                    }
                    K::Order => ordering = true,
                    K::Limit | K::Offset | K::Fetch | K::For | K::Returning => ordering = false,
                    K::Conflict => conflict = true,
                    K::Do => conflict = false,
                    _ => {}
                },
                Tok::Char(b'(' | b'[') => {
                    let closed = ordering || conflict || self.opens_type(at) || self.follows_sign(at);
                    self.no_lift += usize::from(closed);
                    self.parens.push(Paren { closed, ordering });
                    ordering = false;
                }
                Tok::Char(b')' | b']') => {
                    let paren = self.parens.pop()?;
                    self.no_lift -= usize::from(paren.closed);
                    ordering = paren.ordering;
                    // `f(1) 'x'` is a constant of a type with modifiers.
                    if Self::is_string(self.tok(at + 1)) {
                        return None;
                    }
                }
                _ => {}
            }
            let free = self.no_lift == 0 && !ordering && !conflict;
            let taken = if free { self.lift(at)? } else { 0 };
            if !out.is_empty() {
                out.push(' ');
            }
            if taken > 0 {
                out.push_str(&format!("${}", self.literals.len()));
                at += taken;
            } else {
                self.write(token, &mut out);
                at += 1;
            }
        }
        if self.literals.is_empty() || !self.parens.is_empty() {
            return None;
        }
        Some(Fingerprint { text: out, literals: self.literals })
    }

    fn follows_is_not(&self, at: usize) -> bool {
        self.before(at, 1) == Tok::Keyword(K::Not) && self.before(at, 2) == Tok::Keyword(K::Is)
    }

    /// Set operations; and INTO, which belongs to INSERT and elsewhere makes a table.
    fn parts_queries(&self, keyword: K) -> bool {
        keyword != K::Into || self.first != Tok::Keyword(K::Insert)
    }

    fn is_string(tok: Tok) -> bool {
        matches!(
            tok,
            Tok::String
                | Tok::EscapeString
                | Tok::UnicodeString
                | Tok::DollarString
                | Tok::NationalString
                | Tok::BitString
                | Tok::HexString
        )
    }

    fn is_name(tok: Tok) -> bool {
        match tok {
            Tok::Word | Tok::Quoted | Tok::UnicodeQuoted => true,
            Tok::Keyword(keyword) => keyword.category() != Category::Reserved,
            _ => false,
        }
    }

    /// Does the parenthesis or bracket at `at` hold a type's modifiers or bounds, or what must stay a literal?
    fn opens_type(&self, at: usize) -> bool {
        if let Tok::Keyword(
            K::Numeric
            | K::Decimal
            | K::Dec
            | K::Float
            | K::Bit
            | K::Varying
            | K::Char
            | K::Character
            | K::Varchar
            | K::Nchar
            | K::Time
            | K::Timestamp
            | K::Interval
            | K::Second
            | K::Extract
            | K::CurrentTime
            | K::CurrentTimestamp
            | K::Localtime
            | K::Localtimestamp,
        ) = self.before(at, 1)
        {
            return true;
        }
        // Back over `a.b.c`, words of a type's name and closed brackets: is there a cast or an AS before?
        let mut back = 1;
        loop {
            match self.before(at, back) {
                Tok::TypeCast | Tok::Keyword(K::As) => return back > 1,
                Tok::Char(b'.' | b']' | b'[') => back += 1,
                tok if Self::is_name(tok) => back += 1,
                _ => return false,
            }
        }
    }

    /// May an operand begin after this token, so that a literal there is one, and a minus its sign?
    fn begins_operand(tok: Tok) -> bool {
        match tok {
            Tok::Op
            | Tok::LessEqual
            | Tok::GreaterEqual
            | Tok::NotEqual
            | Tok::EqualGreater
            | Tok::Char(
                b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=' | b'(' | b',' | b'[' | b':',
            ) => true,
            Tok::Keyword(keyword) => matches!(
                keyword,
                K::Select
                    | K::Where
                    | K::And
                    | K::Or
                    | K::Not
                    | K::Case
                    | K::When
                    | K::Then
                    | K::Else
                    | K::Limit
                    | K::Offset
                    | K::Having
                    | K::On
                    | K::Returning
                    | K::Between
                    | K::Symmetric
            ),
            _ => false,
        }
    }

    /// Does a sign (not a minus between operands) stand before `at`? What follows it is folded with it, or cast before
    /// it: that stays as it is.
    fn follows_sign(&self, at: usize) -> bool {
        matches!(self.before(at, 1), Tok::Char(b'-' | b'+')) && Self::begins_operand(self.before(at, 2))
    }

    /// Lifts what begins at `at`, if it is a literal that may be: how many tokens it takes. `None`: give up altogether.
    fn lift(&mut self, at: usize) -> Option<usize> {
        let previous = self.before(at, 1);
        if !Self::begins_operand(previous) {
            return Some(0);
        }
        if self.follows_sign(at) {
            return Some(0);
        }
        let minus = self.tok(at) == Tok::Char(b'-');
        let number_at = at + usize::from(minus);
        let Some(token) = self.tokens.get(number_at).copied() else { return Some(0) };
        let value = match token.tok {
            Tok::Integer | Tok::Numeric => {
                // `-1::int` negates the cast.
                if minus && self.tok(number_at + 1) == Tok::TypeCast {
                    return Some(0);
                }
                let value = literal::number(self.text, token);
                if minus { negated(value)? } else { value }
            }
            Tok::String | Tok::EscapeString | Tok::DollarString if !minus => {
                ConstValue::String(literal::string(self.text, token).ok()?)
            }
            _ => return Some(0),
        };
        if self.literals.len() >= MAX_LITERALS {
            return None;
        }
        let start = self.tokens.get(at).map_or(token.start, |first| first.start);
        self.literals.push(Literal { value, span: Span { start, end: token.end } });
        Some(number_at + 1 - at)
    }

    fn write(&self, token: Token, out: &mut String) {
        let raw = self.text.get(token.start as usize..token.end as usize).unwrap_or("");
        match token.tok {
            Tok::Word => out.extend(raw.chars().map(|c| c.to_ascii_lowercase())),
            Tok::Keyword(keyword) => out.push_str(keyword.word()),
            _ => out.push_str(raw),
        }
    }
}

/// `-` before a number, as the grammar folds it; `None` where no i64 can hold it.
fn negated(value: ConstValue) -> Option<ConstValue> {
    match value {
        ConstValue::Integer(value) => value.checked_neg().map(ConstValue::Integer),
        ConstValue::Numeric(text) => Some(match format!("-{text}").parse::<i64>() {
            Ok(value) => ConstValue::Integer(value),
            Err(_) => ConstValue::Numeric(format!("-{text}")),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifted(text: &str) -> String {
        match fingerprint(text) {
            None => "-".into(),
            Some(fingerprint) => {
                let values: Vec<String> =
                    fingerprint.literals.iter().map(|one| format!("{:?}", one.value)).collect();
                format!("{} [{}]", fingerprint.text, values.join(", "))
            }
        }
    }

    #[test]
    fn literals_become_parameters() {
        for (text, wanted) in [
            ("SELECT * FROM T WHERE a = 5;", "select * from t where a = $1 [Integer(5)]"),
            (
                "select 1 - -2, -3 * 4",
                "select $1 - $2 , $3 * $4 [Integer(1), Integer(-2), Integer(-3), Integer(4)]",
            ),
            ("select a-1, a -1", "select a - $1 , a - $2 [Integer(1), Integer(1)]"),
            (
                "insert into t values (1, 'x', NULL), (2.5, E'a\\n', true)",
                "insert into t values ( $1 , $2 , null ) , ( $3 , $4 , true ) [Integer(1), String(\"x\"), Numeric(\"2.5\"), String(\"a\\n\")]",
            ),
            (
                "update t set a = 'x'::text where b in (1, 2) limit 5",
                "update t set a = $1 :: text where b in ( $2 , $3 ) limit $4 [String(\"x\"), Integer(1), Integer(2), Integer(5)]",
            ),
            (
                "select a from t where b = 1 order by 1 limit 2",
                "select a from t where b = $1 order by 1 limit $2 [Integer(1), Integer(2)]",
            ),
            (
                "select a::numeric(10, 2) from t where x > 3",
                "select a :: numeric ( 10 , 2 ) from t where x > $1 [Integer(3)]",
            ),
            ("select cast(a as s.t(3)) + 4", "select cast ( a as s . t ( 3 ) ) + $1 [Integer(4)]"),
            (
                "select a from t where d < date '2020-01-01' and b = 1",
                "select a from t where d < date '2020-01-01' and b = $1 [Integer(1)]",
            ),
            ("select a from t where d < now() - interval '1' day", "-"),
            ("select -1::int, 2, - -3", "select - 1 :: int , $1 , - - 3 [Integer(2)]"),
            (
                "select extract('year' from d), a[1]",
                "select extract ( 'year' from d ) , a [ $1 ] [Integer(1)]",
            ),
            ("select a like 'x%' from t where b is distinct from 1", "-"),
            (
                "insert into t values (1) on conflict (a) where k > 0 do update set b = 2",
                "insert into t values ( $1 ) on conflict ( a ) where k > 0 do update set b = $2 [Integer(1), Integer(2)]",
            ),
            (
                "select rank() over (order by 1) + 5 from t",
                "select rank ( ) over ( order by 1 ) + $1 from t [Integer(5)]",
            ),
        ] {
            assert_eq!(lifted(text), wanted, "{text}");
        }
    }

    #[test]
    fn where_values_matter_nothing_is_lifted() {
        for text in [
            "select a + 1 from t group by a + 1",
            "select distinct 1",
            "select 1 union select 2",
            "select $1 + 1",
            "values (1)",
            "select 1; select 2",
            "create table t (a varchar(3) default 'x')",
            "select s.t(1) 'x'",
            "select 1 into x",
            "select * from (values (1)) v",
            "select 'a",
            "select a from t",
        ] {
            assert_eq!(lifted(text), "-", "{text}");
        }
    }
}
