//! Names, strings and numbers where a statement asks for one; option lists.
//!
//! Called by every other family. The four kinds of name are those of gram.y: what keywords may stand in for a name
//! depends on what is named.

use types::{Error, Result, SqlState};

use super::Parser;
use crate::ast::*;
use crate::keyword::{Category, Keyword as K};
use crate::lexer::{Tok, Token};
use crate::literal;

impl Parser<'_> {
    pub(super) fn name_of(&self, token: Token) -> Result<String> {
        literal::name(self.text, token)
    }

    fn is_identifier(tok: Tok) -> bool {
        matches!(tok, Tok::Word | Tok::Quoted | Tok::UnicodeQuoted)
    }

    pub(super) fn tok_is_col_id(tok: Tok) -> bool {
        Self::is_identifier(tok)
            || matches!(tok, Tok::Keyword(k) if matches!(k.category(), Category::Unreserved | Category::ColumnName))
    }

    pub(super) fn tok_is_type_function_name(tok: Tok) -> bool {
        Self::is_identifier(tok)
            || matches!(tok, Tok::Keyword(k) if matches!(k.category(), Category::Unreserved | Category::TypeOrFunction))
    }

    pub(super) fn tok_is_bare_label(tok: Tok) -> bool {
        Self::is_identifier(tok) || matches!(tok, Tok::Keyword(k) if k.is_bare_label())
    }

    fn take_name(&mut self, fits: bool) -> Result<String> {
        if !fits {
            return self.fail();
        }
        let token = self.bump();
        self.name_of(token)
    }

    /// The name of a column, table, schema.
    pub(super) fn col_id(&mut self) -> Result<String> {
        self.take_name(Self::tok_is_col_id(self.peek()))
    }

    /// The name of a type or function.
    pub(super) fn type_function_name(&mut self) -> Result<String> {
        self.take_name(Self::tok_is_type_function_name(self.peek()))
    }

    /// A name after AS or a dot: any word.
    pub(super) fn col_label(&mut self) -> Result<String> {
        let tok = self.peek();
        self.take_name(Self::is_identifier(tok) || matches!(tok, Tok::Keyword(_)))
    }

    /// Any word that is not fully reserved.
    pub(super) fn non_reserved_word(&mut self) -> Result<String> {
        let tok = self.peek();
        self.take_name(
            Self::is_identifier(tok) || matches!(tok, Tok::Keyword(k) if k.category() != Category::Reserved),
        )
    }

    /// `(a, b, c)`.
    pub(super) fn column_list(&mut self) -> Result<Vec<String>> {
        self.parens(Self::col_id)
    }

    pub(super) fn opt_column_list(&mut self) -> Result<Vec<String>> {
        if self.is_char(b'(') { self.column_list() } else { Ok(Vec::new()) }
    }

    /// `a.b.c`, as the name of anything but a relation.
    pub(super) fn any_name(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.col_id()?];
        while self.eat_char(b'.') {
            parts.push(self.col_label()?);
        }
        Ok(parts)
    }

    pub(super) fn qualified_any_name(&mut self) -> Result<QualifiedName> {
        let span = self.span();
        Ok(QualifiedName { parts: self.any_name()?, span })
    }

    /// A single name, with its place.
    pub(super) fn single_name(&mut self) -> Result<QualifiedName> {
        let span = self.span();
        Ok(QualifiedName { parts: vec![self.col_id()?], span })
    }

    /// A function's name: a single type_function_name, or a qualified name.
    pub(super) fn func_name(&mut self) -> Result<QualifiedName> {
        let span = self.span();
        // A name that only a column may have must go on with a dot.
        let qualified = self.peek_at(1) == Tok::Char(b'.')
            || Self::tok_is_col_id(self.peek()) && !Self::tok_is_type_function_name(self.peek());
        let parts = if qualified { self.any_name()? } else { vec![self.type_function_name()?] };
        if qualified && parts.len() == 1 {
            return self.fail();
        }
        Ok(QualifiedName { parts, span })
    }

    /// `catalog.schema.name` without alias.
    pub(super) fn qualified_name(&mut self) -> Result<RangeVar> {
        let span = self.span();
        let mut parts = self.any_name()?;
        let too_many = || {
            Error::syntax(format!("improper qualified name (too many dotted names): {}", parts.join(".")))
                .at(span)
        };
        if parts.len() > 3 {
            return Err(too_many());
        }
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        let catalog = parts.pop();
        Ok(RangeVar { catalog, schema, name, only: false, alias: None, span })
    }

    pub(super) fn tok_is_string(tok: Tok) -> bool {
        matches!(tok, Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString)
    }

    /// A string literal.
    pub(super) fn string(&mut self) -> Result<String> {
        if !Self::tok_is_string(self.peek()) {
            return self.fail();
        }
        let token = self.bump();
        literal::string(self.text, token)
    }

    /// An unsigned integer that fits int4, as the grammar wants it in places such as `char(n)`.
    pub(super) fn iconst(&mut self) -> Result<i32> {
        let token = self.token();
        if token.tok != Tok::Integer {
            return self.fail();
        }
        match literal::number(self.text, token) {
            ConstValue::Integer(value) if i32::try_from(value).is_ok() => {
                self.bump();
                Ok(value as i32)
            }
            _ => self.fail(),
        }
    }

    pub(super) fn signed_iconst(&mut self) -> Result<i64> {
        let negative = self.sign();
        let value = i64::from(self.iconst()?);
        Ok(if negative { -value } else { value })
    }

    /// Takes a sign; is it a minus?
    fn sign(&mut self) -> bool {
        !self.eat_char(b'+') && self.eat_char(b'-')
    }

    /// A number with an optional sign.
    pub(super) fn numeric_only(&mut self) -> Result<ConstValue> {
        let negative = self.sign();
        let token = self.token();
        if !matches!(token.tok, Tok::Integer | Tok::Numeric) {
            return self.fail();
        }
        self.bump();
        let value = literal::number(self.text, token);
        Ok(if negative { negate(value) } else { value })
    }

    /// A signed integer that fits int8, for sequences' options. 22003 if it does not fit.
    pub(super) fn numeric_i64(&mut self) -> Result<i64> {
        let span = self.span();
        match self.numeric_only()? {
            ConstValue::Integer(value) => Ok(value),
            ConstValue::Numeric(text) => Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type bigint"),
            )
            .at(span)),
            _ => Err(Error::syntax("syntax error").at(span)),
        }
    }

    /// TRUE, FALSE, ON, a word or a string: what SET and boolean options take.
    pub(super) fn boolean_or_string(&mut self) -> Result<DefValue> {
        if Self::tok_is_string(self.peek()) {
            return Ok(DefValue::String(self.string()?));
        }
        if self.is_any(&[K::True, K::False, K::On]) {
            let token = self.bump();
            return Ok(DefValue::Word(self.name_of(token)?));
        }
        Ok(DefValue::Word(self.non_reserved_word()?))
    }

    fn def_number(&mut self) -> Result<DefValue> {
        Ok(match self.numeric_only()? {
            ConstValue::Integer(value) => DefValue::Integer(value),
            ConstValue::Numeric(text) => DefValue::Numeric(text),
            _ => return self.fail(),
        })
    }

    /// The value after a generic option's `=`: gram.y's def_arg.
    pub(super) fn def_arg(&mut self) -> Result<DefValue> {
        let tok = self.peek();
        if Self::tok_is_string(tok) {
            return Ok(DefValue::String(self.string()?));
        }
        match tok {
            Tok::Integer | Tok::Numeric => self.def_number(),
            Tok::Char(b'+' | b'-') if matches!(self.peek_at(1), Tok::Integer | Tok::Numeric) => {
                self.def_number()
            }
            Tok::Keyword(k) if k.category() == Category::Reserved && k != K::Array => {
                let token = self.bump();
                Ok(DefValue::Word(self.name_of(token)?))
            }
            Tok::Keyword(K::None) => {
                self.bump();
                Ok(DefValue::Word("none".into()))
            }
            Tok::Op | Tok::LessEqual | Tok::GreaterEqual | Tok::NotEqual | Tok::Char(_)
                if self.is_operator() =>
            {
                Ok(DefValue::Operator(self.operator_token()?.name))
            }
            _ => {
                let simple = matches!(tok, Tok::Word | Tok::Quoted)
                    || matches!(tok, Tok::Keyword(k) if k.category() == Category::Unreserved);
                if simple && matches!(self.peek_at(1), Tok::Char(b',' | b')') | Tok::End) {
                    return Ok(DefValue::Word(self.col_id()?));
                }
                let typ = self.func_type()?;
                match typ.names.as_slice() {
                    [name] if typ.typmods.is_empty() && typ.array_bounds.is_empty() && !typ.setof => {
                        Ok(DefValue::Word(name.clone()))
                    }
                    _ => Ok(DefValue::Type(typ)),
                }
            }
        }
    }

    /// `(name = value, ns.name, …)`: storage parameters and definitions.
    pub(super) fn definition(&mut self) -> Result<Vec<DefElem>> {
        self.parens(|p| {
            let span = p.span();
            let mut name = p.col_label()?;
            let mut namespace = None;
            if p.eat_char(b'.') {
                namespace = Some(std::mem::replace(&mut name, p.col_label()?));
            }
            let value = if p.eat_char(b'=') { Some(p.def_arg()?) } else { None };
            Ok(DefElem { namespace, name, value, span })
        })
    }

    /// WITH (…), where it is written.
    pub(super) fn opt_with_definition(&mut self) -> Result<Vec<DefElem>> {
        if self.eat(K::With) { self.definition() } else { Ok(Vec::new()) }
    }

    /// `(name value, …)`: the options of EXPLAIN, VACUUM and others.
    pub(super) fn utility_options(&mut self) -> Result<Vec<DefElem>> {
        self.parens(|p| {
            let span = p.span();
            // ANALYZE is reserved, but an option nonetheless.
            let analyze = p.eat(K::Analyze) || p.eat(K::Analyse);
            let name = if analyze { "analyze".to_string() } else { p.non_reserved_word()? };
            let value = p.option_value()?;
            Ok(DefElem { namespace: None, name, value, span })
        })
    }

    /// The options of COPY: any word may be a name, and a value may be a star or a list.
    pub(super) fn copy_options(&mut self) -> Result<Vec<DefElem>> {
        self.parens(|p| {
            let span = p.span();
            let name = p.col_label()?;
            let value = match p.peek() {
                Tok::Char(b'*') => {
                    p.bump();
                    Some(DefValue::Star)
                }
                Tok::Char(b'(') => Some(DefValue::List(p.parens(|p| {
                    if Self::tok_is_string(p.peek()) { p.string() } else { p.non_reserved_word() }
                })?)),
                _ => p.option_value()?,
            };
            Ok(DefElem { namespace: None, name, value, span })
        })
    }

    fn option_value(&mut self) -> Result<Option<DefValue>> {
        Ok(match self.peek() {
            Tok::Char(b',' | b')') => None,
            Tok::Integer | Tok::Numeric | Tok::Char(b'+' | b'-') => Some(self.def_number()?),
            _ => Some(self.boolean_or_string()?),
        })
    }

    pub(super) fn drop_behavior(&mut self) -> DropBehavior {
        if self.eat(K::Cascade) {
            DropBehavior::Cascade
        } else {
            self.eat(K::Restrict);
            DropBehavior::Restrict
        }
    }

    /// IF EXISTS.
    pub(super) fn if_exists(&mut self) -> Result<bool> {
        if self.is(K::If) && self.is_at(1, K::Exists) {
            self.at += 2;
            return Ok(true);
        }
        Ok(false)
    }

    /// IF NOT EXISTS.
    pub(super) fn if_not_exists(&mut self) -> Result<bool> {
        // IF may be a name, but not with NOT behind it.
        let found = self.eat_all(&[K::If, K::Not]);
        if found {
            self.expect(K::Exists)?;
        }
        Ok(found)
    }

    pub(super) fn role_spec(&mut self) -> Result<RoleSpec> {
        let span = self.span();
        let kind = match self.peek() {
            Tok::Keyword(K::CurrentRole) => RoleSpecKind::CurrentRole,
            Tok::Keyword(K::CurrentUser) => RoleSpecKind::CurrentUser,
            Tok::Keyword(K::SessionUser) => RoleSpecKind::SessionUser,
            tok => {
                let name = self.non_reserved_word()?;
                return match (name.as_str(), tok) {
                    ("public", _) => Ok(RoleSpec { kind: RoleSpecKind::Public, span }),
                    ("none", _) => {
                        Err(Error::new(SqlState::RESERVED_NAME, "role name \"none\" is reserved").at(span))
                    }
                    _ => Ok(RoleSpec { kind: RoleSpecKind::Name(name), span }),
                };
            }
        };
        self.bump();
        Ok(RoleSpec { kind, span })
    }
}

/// `-` in front of a number: folded, as PostgreSQL does.
pub(super) fn negate(value: ConstValue) -> ConstValue {
    match value {
        ConstValue::Integer(value) => match value.checked_neg() {
            Some(value) => ConstValue::Integer(value),
            None => ConstValue::Numeric("9223372036854775808".into()),
        },
        ConstValue::Numeric(text) => match text.strip_prefix('-') {
            Some(positive) => ConstValue::Numeric(positive.to_string()),
            // -9223372036854775808 fits again.
            None => match format!("-{text}").parse::<i64>() {
                Ok(value) => ConstValue::Integer(value),
                Err(_) => ConstValue::Numeric(format!("-{text}")),
            },
        },
        other => other,
    }
}
