//! Tree → text, as PostgreSQL prints a `jsonpath`.

use std::fmt;

use super::{Base, JsonPath, Node, RegexFlags, Step};

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        if self.strict {
            out.extend_from_slice(b"strict ");
        }
        node(&self.expr, true, &mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Binding strength; a child that binds no stronger than its parent takes parentheses.
fn priority(node: &Node) -> u8 {
    use super::Arithmetic::{Add, Subtract};
    match node {
        Node::Or(..) => 0,
        Node::And(..) => 1,
        Node::Compare { .. } | Node::StartsWith { .. } => 2,
        Node::Arithmetic { operator: Add | Subtract, .. } => 3,
        Node::Arithmetic { .. } => 4,
        Node::Sign { .. } => 5,
        _ => 6,
    }
}

fn push(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn node(item: &Node, brackets: bool, out: &mut Vec<u8>) {
    let child = |arg: &Node, out: &mut Vec<u8>| node(arg, priority(arg) <= priority(item), out);
    let infix = |left: &Node, symbol: &str, right: &Node, out: &mut Vec<u8>| {
        if brackets {
            out.push(b'(');
        }
        child(left, out);
        push(&format!(" {symbol} "), out);
        child(right, out);
        if brackets {
            out.push(b')');
        }
    };
    match item {
        Node::Path { base, steps } => path(base, steps, out),
        Node::Arithmetic { operator, left, right } => infix(left, operator.symbol(), right, out),
        Node::Compare { operator, left, right } => infix(left, operator.symbol(), right, out),
        Node::StartsWith { left, right } => infix(left, "starts with", right, out),
        Node::And(left, right) => infix(left, "&&", right, out),
        Node::Or(left, right) => infix(left, "||", right, out),
        Node::Sign { negative, arg } => {
            if brackets {
                out.push(b'(');
            }
            out.push(if *negative { b'-' } else { b'+' });
            child(arg, out);
            if brackets {
                out.push(b')');
            }
        }
        Node::Not(arg) => {
            push("!(", out);
            node(arg, false, out);
            out.push(b')');
        }
        Node::IsUnknown(arg) => {
            out.push(b'(');
            node(arg, false, out);
            push(") is unknown", out);
        }
        Node::Exists(arg) => {
            push("exists (", out);
            node(arg, false, out);
            out.push(b')');
        }
        Node::LikeRegex { arg, pattern, flags } => {
            if brackets {
                out.push(b'(');
            }
            child(arg, out);
            push(" like_regex ", out);
            crate::json::escape(pattern, out);
            let letters = letters(*flags);
            if !letters.is_empty() {
                push(&format!(" flag \"{letters}\""), out);
            }
            if brackets {
                out.push(b')');
            }
        }
    }
}

fn letters(flags: RegexFlags) -> String {
    let all = [(flags.ignore_case, 'i'), (flags.dot_all, 's'), (flags.multi_line, 'm'), (flags.quote, 'q')];
    all.iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect()
}

fn path(base: &Base, steps: &[Step], out: &mut Vec<u8>) {
    match base {
        Base::Root => out.push(b'$'),
        Base::Current => out.push(b'@'),
        Base::Last => push("last", out),
        Base::Variable(name) => {
            out.push(b'$');
            crate::json::escape(name, out);
        }
        Base::Null => push("null", out),
        Base::Bool(value) => push(if *value { "true" } else { "false" }, out),
        Base::Number(number) => {
            // A number with steps reads back only in parentheses.
            let bare = steps.is_empty();
            if !bare {
                out.push(b'(');
            }
            number.write_text(out);
            if !bare {
                out.push(b')');
            }
        }
        Base::String(text) => crate::json::escape(text, out),
        Base::Expr(inner) => node(inner, true, out),
    }
    for step in steps {
        match step {
            Step::Key(key) => {
                out.push(b'.');
                crate::json::escape(key, out);
            }
            Step::AnyKey => push(".*", out),
            Step::AnyElement => push("[*]", out),
            Step::Index(list) => {
                out.push(b'[');
                for (index, (from, to)) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    node(from, false, out);
                    if let Some(to) = to {
                        push(" to ", out);
                        node(to, false, out);
                    }
                }
                out.push(b']');
            }
            Step::AnyLevel { first: Some(0), last: None } => push(".**", out),
            Step::AnyLevel { first, last } => {
                let level = |level: &Option<u32>| match level {
                    Some(level) => level.to_string(),
                    None => "last".to_string(),
                };
                let text = if first == last {
                    format!(".**{{{}}}", level(first))
                } else {
                    format!(".**{{{} to {}}}", level(first), level(last))
                };
                push(&text, out);
            }
            Step::Method(method) => push(&format!(".{}()", method.name()), out),
            Step::Filter(predicate) => {
                push("?(", out);
                node(predicate, false, out);
                out.push(b')');
            }
        }
    }
}
