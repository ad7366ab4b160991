//! Takes away the parentheses that PostgreSQL's pretty form leaves out.
//!
//! Stored expressions are fully parenthesised, as `ruleutils.c` prints them without PRETTYFLAG_PAREN;
//! psql asks for the pretty form. The rules are those of its `isSimpleNode`. Works on the text alone:
//! what it does not understand stays as it is.

/// Parentheses nested deeper than this stay.
const MAX_DEPTH: usize = 200;

/// `expression`, pretty.
pub(super) fn pretty(expression: &str) -> String {
    let tokens = tokens(expression);
    let mut position = 0;
    match parse(&tokens, &mut position, 0) {
        Some(items) if position == tokens.len() => {
            let mut out = String::with_capacity(expression.len());
            render_list(&items, &mut out);
            out
        }
        _ => expression.to_string(),
    }
}

/// True for `name(…)` and nothing after it: what an index shows without parentheses of its own.
pub(super) fn looks_like_function(expression: &str) -> bool {
    let tokens = tokens(expression);
    let mut position = 0;
    match parse(&tokens, &mut position, 0).as_deref() {
        Some([Item::Word { .. }, Item::Group { call: true, .. }]) => position == tokens.len(),
        _ => false,
    }
}

#[derive(Debug, PartialEq)]
struct Token<'t> {
    text: &'t str,
    /// White space before it.
    space: bool,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut space = false;
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'$' || b >= 0x80;
    let operator = |b: u8| b"+-*/<>=~!@#%^&|`?:".contains(&b);
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_whitespace() {
            space = true;
            at += 1;
            continue;
        }
        let run = |from: usize, test: &dyn Fn(u8) -> bool| {
            from + bytes.get(from..).unwrap_or(&[]).iter().take_while(|b| test(**b)).count()
        };
        let end = if byte == b'\'' || byte == b'"' {
            quoted_end(bytes, at, byte)
        } else if word(byte) {
            // A dotted name with quoted parts, or E'…', is one word.
            let mut end = run(at, &word);
            while let Some(&quote @ (b'"' | b'\'')) = bytes.get(end) {
                end = quoted_end(bytes, end, quote);
                end = run(end, &word);
            }
            end
        } else if operator(byte) {
            run(at, &operator)
        } else {
            at + 1
        };
        tokens.push(Token { text: text.get(at..end).unwrap_or(""), space });
        space = false;
        at = end;
    }
    tokens
}

fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == quote {
            if bytes.get(at) == Some(&quote) {
                at += 1;
            } else {
                break;
            }
        }
    }
    at.min(bytes.len())
}

enum Item<'t> {
    Word {
        text: &'t str,
        space: bool,
    },
    /// `(…)`, or `[…]` when `square`; the arguments of a call when `call`.
    Group {
        items: Vec<Item<'t>>,
        space: bool,
        call: bool,
        square: bool,
    },
}

impl Item<'_> {
    fn word(&self) -> &str {
        match self {
            Item::Word { text, .. } => text,
            Item::Group { .. } => "",
        }
    }
}

fn parse<'t>(tokens: &[Token<'t>], position: &mut usize, depth: usize) -> Option<Vec<Item<'t>>> {
    const OWN_PARENTHESES: [&str; 8] = ["ANY", "ALL", "SOME", "IN", "EXISTS", "VALUES", "OVER", "FILTER"];
    if depth > MAX_DEPTH {
        return None;
    }
    let mut items: Vec<Item<'t>> = Vec::new();
    while let Some(token) = tokens.get(*position) {
        match token.text {
            ")" | "]" => return Some(items),
            "(" | "[" => {
                let square = token.text == "[";
                let after_name = items.last().is_some_and(|item| {
                    let word = item.word();
                    word.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"')
                });
                let call = square
                    || (after_name && !token.space)
                    || items.last().is_some_and(|item| OWN_PARENTHESES.contains(&item.word()));
                *position += 1;
                let inner = parse(tokens, position, depth + 1)?;
                if tokens.get(*position)?.text != if square { "]" } else { ")" } {
                    return None;
                }
                items.push(Item::Group { items: inner, space: token.space, call, square });
            }
            text => items.push(Item::Word { text, space: token.space }),
        }
        *position += 1;
    }
    Some(items)
}

/// What an expression is at its top.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Needs no parentheses anywhere.
    Simple,
    /// One operator; the letter when it is a single arithmetic one.
    Operator(Option<char>),
    And,
    Or,
    Not,
    /// IS NULL, = ANY, IS DISTINCT FROM, COLLATE …
    Test,
    /// (a, b)
    List,
}

fn kind(items: &[Item<'_>]) -> Kind {
    let mut operator = None;
    let mut depth = 0_usize;
    for (at, item) in items.iter().enumerate() {
        let word = item.word();
        match word {
            "CASE" => depth += 1,
            "END" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            "," => return Kind::List,
            "AND" => return Kind::And,
            "OR" => return Kind::Or,
            "NOT" if at == 0 => return Kind::Not,
            "IS" | "ANY" | "ALL" | "IN" | "COLLATE" | "BETWEEN" | "LIKE" | "ILIKE" | "SIMILAR" | "AT" => {
                return Kind::Test;
            }
            "::" => {}
            _ if word.starts_with(|c: char| "+-*/<>=~!@#%^&|`?".contains(c)) => {
                let mut letters = word.chars();
                let letter = letters.next().filter(|c| letters.next().is_none() && "+-*/%".contains(*c));
                operator = Some(letter);
            }
            _ => {}
        }
    }
    operator.map_or(Kind::Simple, Kind::Operator)
}

/// Whether an operand of kind `child` keeps its parentheses below `parent`.
fn keeps(child: Kind, parent: Kind, is_first: bool) -> bool {
    match (child, parent) {
        (Kind::List, _) => true,
        (Kind::Simple, _) => false,
        (Kind::Operator(child), Kind::Operator(parent)) => match (child, parent) {
            (Some(child), Some(parent)) => match ("*/%".contains(child), "*/%".contains(parent)) {
                (true, false) => false,
                (false, true) => true,
                _ => !is_first,
            },
            _ => true,
        },
        (Kind::Operator(_) | Kind::Test, Kind::And | Kind::Or | Kind::Not) => false,
        (Kind::And | Kind::Not, Kind::And | Kind::Or) | (Kind::Or, Kind::Or) => false,
        _ => true,
    }
}

/// Arguments, elements, a whole expression: each on its own, so none needs parentheses.
fn render_list(items: &[Item<'_>], out: &mut String) {
    for part in items.split_inclusive(|item| item.word() == ",") {
        let (part, comma) = match part.split_last() {
            Some((last, rest)) if last.word() == "," => (rest, true),
            _ => (part, false),
        };
        match part {
            [Item::Group { items: inner, space, call: false, .. }] if kind(inner) != Kind::List => {
                if *space {
                    out.push(' ');
                }
                render(inner, kind(inner), out);
            }
            _ => render(part, kind(part), out),
        }
        if comma {
            out.push(',');
        }
    }
}

/// The items of an expression of kind `parent`.
fn render(items: &[Item<'_>], parent: Kind, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        let previous = at.checked_sub(1).and_then(|before| items.get(before)).map_or("", Item::word);
        match item {
            Item::Word { text, space } => {
                if *space {
                    out.push(' ');
                }
                out.push_str(text);
            }
            Item::Group { items: inner, space, call, square } => {
                if *space {
                    out.push(' ');
                }
                if *call {
                    out.push(if *square { '[' } else { '(' });
                    render_list(inner, out);
                    out.push(if *square { ']' } else { ')' });
                    continue;
                }
                let is_cast = items.get(at + 1).is_some_and(|next| next.word() == "::");
                let alone = matches!(previous, "CASE" | "WHEN" | "THEN" | "ELSE");
                let inner_kind = kind(inner);
                let keep = if is_cast {
                    inner_kind != Kind::Simple
                } else if alone {
                    inner_kind == Kind::List
                } else {
                    keeps(inner_kind, parent, at == 0)
                };
                match inner.as_slice() {
                    // The cast's own parentheses around the operator's.
                    [Item::Group { items: operand, call: false, .. }] if is_cast => {
                        out.push('(');
                        render(operand, kind(operand), out);
                        out.push(')');
                    }
                    _ if keep => {
                        out.push('(');
                        render(inner, inner_kind, out);
                        out.push(')');
                    }
                    _ => render(inner, inner_kind, out),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_go_where_postgres_leaves_them_out() {
        for (plain, expected) in [
            ("(balance >= (0)::numeric)", "balance >= 0::numeric"),
            (
                "((price > (0)::double precision) AND (price < (1000000)::double precision))",
                "price > 0::double precision AND price < 1000000::double precision",
            ),
            ("((a OR b) AND (c = 1))", "(a OR b) AND c = 1"),
            ("((a AND b) OR (NOT c))", "a AND b OR NOT c"),
            ("(NOT (a OR b))", "NOT (a OR b)"),
            ("(NOT (a = b))", "NOT a = b"),
            ("((a + b) * c)", "(a + b) * c"),
            ("((a * b) + c)", "a * b + c"),
            ("(a - (b - c))", "a - (b - c)"),
            ("((a - b) - c)", "a - b - c"),
            ("((a + b) > 3)", "(a + b) > 3"),
            ("((a || b) || 'x'::text)", "(a || b) || 'x'::text"),
            ("lower((a || b))", "lower(a || b)"),
            ("((a + b))::text", "(a + b)::text"),
            (
                "((kind)::text = ANY ((ARRAY['x'::character varying, 'y (z'::character varying])::text[]))",
                "kind::text = ANY (ARRAY['x'::character varying, 'y (z'::character varying]::text[])",
            ),
            ("(a IS NOT NULL)", "a IS NOT NULL"),
            ("((a + 1) IS NULL)", "(a + 1) IS NULL"),
            ("CASE WHEN (a > 1) THEN (b + 1) ELSE c END", "CASE WHEN a > 1 THEN b + 1 ELSE c END"),
            ("'it''s (odd)'::text", "'it''s (odd)'::text"),
            ("(a)::numeric(15,2)", "a::numeric(15,2)"),
            ("nextval('t_id_seq'::regclass)", "nextval('t_id_seq'::regclass)"),
        ] {
            assert_eq!(pretty(plain), expected);
        }
    }

    #[test]
    fn what_does_not_parse_stays() {
        assert_eq!(pretty("(a"), "(a");
        let deep = "(".repeat(10_000);
        assert_eq!(pretty(&deep), deep);
    }

    #[test]
    fn functions_are_told_from_operators() {
        assert!(looks_like_function("lower((a)::text)"));
        assert!(!looks_like_function("(a + 1)"));
        assert!(!looks_like_function("lower(a)::text"));
    }
}
