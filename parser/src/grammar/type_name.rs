//! Type names: SQL's keywords for types, generic names with modifiers, arrays.
//!
//! Called by casts, column definitions, functions. `integer` becomes `pg_catalog.int4`; a name like `int4` or `inet`
//! stays as written.

use types::{Result, Span};

use super::Parser;
use crate::ast::*;
use crate::keyword::Keyword as K;
use crate::lexer::Tok;

/// PostgreSQL's masks for the fields of an interval.
mod mask {
    pub const MONTH: i64 = 1 << 1;
    pub const YEAR: i64 = 1 << 2;
    pub const DAY: i64 = 1 << 3;
    pub const HOUR: i64 = 1 << 10;
    pub const MINUTE: i64 = 1 << 11;
    pub const SECOND: i64 = 1 << 12;
    pub const FULL: i64 = 0x7fff;
}

fn integer(value: i64, span: Span) -> Expr {
    Expr::Const(Box::new(Const { value: ConstValue::Integer(value), span }))
}

pub(super) fn system_type(name: &str, typmods: Vec<Expr>, span: Span) -> TypeName {
    TypeName {
        names: vec!["pg_catalog".into(), name.into()],
        typmods,
        array_bounds: Vec::new(),
        setof: false,
        pct_type: false,
        span,
    }
}

impl Parser<'_> {
    /// A type with SETOF and array bounds.
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        let setof = self.eat(K::Setof);
        let mut typ = self.simple_type_name()?;
        typ.setof = setof;
        self.array_bounds(&mut typ)?;
        Ok(typ)
    }

    fn array_bounds(&mut self, typ: &mut TypeName) -> Result<()> {
        if self.eat(K::Array) {
            let mut bound = -1;
            if self.eat_char(b'[') {
                bound = self.iconst()?;
                self.expect_char(b']')?;
            }
            typ.array_bounds.push(bound);
            return Ok(());
        }
        while self.eat_char(b'[') {
            let bound = if self.is_char(b']') { -1 } else { self.iconst()? };
            self.expect_char(b']')?;
            typ.array_bounds.push(bound);
        }
        Ok(())
    }

    /// A type in a function's signature: also `table.column%TYPE`.
    pub(super) fn func_type(&mut self) -> Result<TypeName> {
        let start = self.at;
        let setof = self.eat(K::Setof);
        let span = self.span();
        if Self::tok_is_type_function_name(self.peek()) && self.peek_at(1) == Tok::Char(b'.') {
            let mut names = vec![self.type_function_name()?];
            while self.eat_char(b'.') {
                names.push(self.col_label()?);
            }
            if self.is_char(b'%') && self.is_at(1, K::Type) {
                self.at += 2;
                let array_bounds = Vec::new();
                return Ok(TypeName {
                    names,
                    typmods: Vec::new(),
                    array_bounds,
                    setof,
                    pct_type: true,
                    span,
                });
            }
            self.at = start;
        } else {
            self.at = start;
        }
        self.type_name()
    }

    /// Does a type that is spelled with keywords begin here, so that `keyword 'literal'` is a constant of it?
    pub(super) fn is_keyword_type(&self) -> bool {
        self.is_any(&[
            K::Int,
            K::Integer,
            K::Smallint,
            K::Bigint,
            K::Real,
            K::Float,
            K::Double,
            K::Decimal,
            K::Dec,
            K::Numeric,
            K::Boolean,
            K::Bit,
            K::Character,
            K::Char,
            K::Varchar,
            K::National,
            K::Nchar,
            K::Timestamp,
            K::Time,
            K::Interval,
        ])
    }

    pub(super) fn simple_type_name(&mut self) -> Result<TypeName> {
        self.simple_type(false)
    }

    /// As in `type 'literal'`, where `char` and `bit` without a length are not limited to one.
    pub(super) fn const_type_name(&mut self) -> Result<TypeName> {
        self.simple_type(true)
    }

    fn simple_type(&mut self, constant: bool) -> Result<TypeName> {
        let span = self.span();
        let keyword = match self.peek() {
            Tok::Keyword(keyword) if self.is_keyword_type() => keyword,
            _ => return self.generic_type(),
        };
        // DOUBLE is unreserved: alone it is a name.
        if keyword == K::Double && !self.is_at(1, K::Precision) {
            return self.generic_type();
        }
        self.bump();
        let plain = |name: &str| Ok(system_type(name, Vec::new(), span));
        match keyword {
            K::Int | K::Integer => plain("int4"),
            K::Smallint => plain("int2"),
            K::Bigint => plain("int8"),
            K::Real => plain("float4"),
            K::Boolean => plain("bool"),
            K::Double => {
                self.expect(K::Precision)?;
                plain("float8")
            }
            K::Float => {
                if !self.eat_char(b'(') {
                    return plain("float8");
                }
                let at = self.span();
                let precision = self.iconst()?;
                self.expect_char(b')')?;
                let bad = |message: &str| {
                    Err(types::Error::new(types::SqlState::INVALID_PARAMETER_VALUE, message).at(at))
                };
                match precision {
                    ..=0 => bad("precision for type float must be at least 1 bit"),
                    1..=24 => plain("float4"),
                    25..=53 => plain("float8"),
                    54.. => bad("precision for type float must be less than 54 bits"),
                }
            }
            K::Decimal | K::Dec | K::Numeric => {
                let typmods = self.type_modifiers()?;
                Ok(system_type("numeric", typmods, span))
            }
            K::Bit => {
                let varying = self.eat(K::Varying);
                let mut typmods = self.type_modifiers()?;
                if typmods.is_empty() && !varying && !constant {
                    typmods.push(integer(1, span));
                }
                Ok(system_type(if varying { "varbit" } else { "bit" }, typmods, span))
            }
            K::Character | K::Char | K::Varchar | K::National | K::Nchar => {
                if keyword == K::National && !self.eat(K::Character) {
                    self.expect(K::Char)?;
                }
                let varying = keyword == K::Varchar || self.eat(K::Varying);
                let mut typmods = Vec::new();
                if self.eat_char(b'(') {
                    let at = self.span();
                    typmods.push(integer(i64::from(self.iconst()?), at));
                    self.expect_char(b')')?;
                } else if !varying && !constant {
                    typmods.push(integer(1, span));
                }
                Ok(system_type(if varying { "varchar" } else { "bpchar" }, typmods, span))
            }
            K::Timestamp | K::Time => {
                let typmods = self.precision()?;
                let zoned = self.time_zone_suffix()?;
                let name = match (keyword, zoned) {
                    (K::Timestamp, true) => "timestamptz",
                    (K::Timestamp, false) => "timestamp",
                    (_, true) => "timetz",
                    (_, false) => "time",
                };
                Ok(system_type(name, typmods, span))
            }
            _ => {
                // INTERVAL (p) or INTERVAL fields; with a constant the fields follow the string.
                if self.is_char(b'(') {
                    let mut typmods = self.precision()?;
                    typmods.insert(0, integer(mask::FULL, span));
                    return Ok(system_type("interval", typmods, span));
                }
                let typmods = if constant { Vec::new() } else { self.interval_fields()? };
                Ok(system_type("interval", typmods, span))
            }
        }
    }

    /// `(p)`, or nothing.
    fn precision(&mut self) -> Result<Vec<Expr>> {
        let mut typmods = Vec::new();
        if self.eat_char(b'(') {
            let at = self.span();
            typmods.push(integer(i64::from(self.iconst()?), at));
            self.expect_char(b')')?;
        }
        Ok(typmods)
    }

    fn time_zone_suffix(&mut self) -> Result<bool> {
        // WITH belongs to the type only before TIME.
        let zoned = self.is(K::With) && self.is_at(1, K::Time);
        if zoned || self.is(K::Without) && self.is_at(1, K::Time) {
            self.bump();
            self.expect(K::Time)?;
            self.expect(K::Zone)?;
        }
        Ok(zoned)
    }

    /// `YEAR TO MONTH`, `SECOND(3)` …: the mask, then the precision; empty where nothing is written.
    pub(super) fn interval_fields(&mut self) -> Result<Vec<Expr>> {
        let span = self.span();
        let field = |tok| match tok {
            Tok::Keyword(K::Year) => Some(mask::YEAR),
            Tok::Keyword(K::Month) => Some(mask::MONTH),
            Tok::Keyword(K::Day) => Some(mask::DAY),
            Tok::Keyword(K::Hour) => Some(mask::HOUR),
            Tok::Keyword(K::Minute) => Some(mask::MINUTE),
            Tok::Keyword(K::Second) => Some(mask::SECOND),
            _ => None,
        };
        let Some(first) = field(self.peek()) else { return Ok(Vec::new()) };
        self.bump();
        let mut bits = first;
        let mut last = first;
        if first != mask::SECOND && first != mask::MONTH && self.eat(K::To) {
            // The fields between the two are meant as well.
            let chain: &[i64] = match first {
                mask::YEAR => &[mask::MONTH],
                mask::DAY => &[mask::HOUR, mask::MINUTE, mask::SECOND],
                mask::HOUR => &[mask::MINUTE, mask::SECOND],
                mask::MINUTE => &[mask::SECOND],
                _ => &[],
            };
            match field(self.peek()) {
                Some(to) if chain.contains(&to) => {
                    self.bump();
                    last = to;
                    for one in chain {
                        bits |= one;
                        if *one == to {
                            break;
                        }
                    }
                }
                _ => return self.fail(),
            }
        }
        let mut typmods = vec![integer(bits, span)];
        if last == mask::SECOND {
            typmods.extend(self.precision()?);
        }
        Ok(typmods)
    }

    /// `(10, 2)`, or nothing.
    fn type_modifiers(&mut self) -> Result<Vec<Expr>> {
        if !self.is_char(b'(') {
            return Ok(Vec::new());
        }
        let outer = self.enter()?;
        let modifiers = self.parens(Self::expr)?;
        self.leave(outer);
        Ok(modifiers)
    }

    fn generic_type(&mut self) -> Result<TypeName> {
        let span = self.span();
        let mut names = vec![self.type_function_name()?];
        while self.eat_char(b'.') {
            names.push(self.col_label()?);
        }
        let typmods = self.type_modifiers()?;
        Ok(TypeName { names, typmods, array_bounds: Vec::new(), setof: false, pct_type: false, span })
    }
}
