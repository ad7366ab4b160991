//! Parses each NUL-terminated text of standard input and prints, NUL-terminated too, `ok` and the tree, or
//! `error CODE POSITION MESSAGE`; with the argument `deparse`, the text printed from the tree instead of the tree.
//! For comparing with other parsers (`tests/oracle.py`) and for a look at a tree.

use std::io::{Read, Write};

fn main() {
    let deparse = std::env::args().any(|argument| argument == "deparse");
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("standard input is UTF-8");
    let mut out = std::io::stdout().lock();
    for text in input.split('\0').filter(|text| !text.is_empty()) {
        let line = match parser::parse(text) {
            Ok(statements) if deparse => {
                let texts =
                    statements.iter().map(|one| parser::deparse::statement(&one.node).unwrap_or_default());
                format!("ok {}", texts.collect::<Vec<_>>().join("; "))
            }
            Ok(statements) => format!("ok {statements:?}"),
            Err(e) => {
                let at = e.span().map_or(0, |span| span.character_position(text));
                format!("error {} {at} {}", e.code(), e.message())
            }
        };
        write!(out, "{line}\0").expect("standard output is open");
    }
}
