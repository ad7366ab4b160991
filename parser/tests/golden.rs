//! Text → printed tree, text → error; the lists of what parses and what is refused.
//!
//! `UPDATE=1 cargo test -p parser` rewrites the two golden files; the diff is the review.

use std::path::PathBuf;

use types::SqlState;

/// Runs each block of `testdata/name` (text, a line of dashes, result, an empty line) through `run`.
fn golden(name: &str, run: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    let old = std::fs::read_to_string(&path).expect("the golden file");
    let mut new = String::new();
    for block in old.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let text = block.trim_start_matches('\n').split("\n----").next().unwrap_or("");
        new.push_str(&format!("{text}\n----\n{}\n\n", run(text).trim_end()));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, new).expect("the golden file is writable");
    } else {
        for (old, new) in old.split("\n\n").zip(new.split("\n\n")) {
            assert_eq!(new.trim(), old.trim(), "in {name}");
        }
        assert_eq!(new.trim(), old.trim(), "in {name}");
    }
}

/// The tree, a field per line: what is absent, empty or false is left out, and a span is `@start..end`.
fn tree(text: &str) -> String {
    let statements = parser::parse(text).unwrap_or_else(|e| panic!("{e:?}: {text}"));
    let mut out = String::new();
    let debug = statements.iter().map(|one| format!("{:#?}\n", one.node)).collect::<String>();
    let lines: Vec<&str> = debug.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let number =
            |line: &&str| line.trim().trim_end_matches(',').rsplit(' ').next().unwrap_or("").to_string();
        if line.trim_start().ends_with("Span {") {
            let (start, end) = (lines.get(at + 1).map(number), lines.get(at + 2).map(number));
            let place = format!("@{}..{}", start.unwrap_or_default(), end.unwrap_or_default());
            let name = line.trim().trim_end_matches("Span {").trim().trim_end_matches(':');
            let indent = line.len() - line.trim_start().len();
            let name = if name == "span" { "" } else { name };
            out.push_str(&format!("{}{}{place}\n", " ".repeat(indent / 2), name));
            at += 4;
            continue;
        }
        let value = line.trim().trim_end_matches(',').split(": ").nth(1).unwrap_or("");
        if !matches!(value, "None" | "[]" | "false")
            && !matches!(line.trim(), ")," | "}," | "]," | ")" | "}" | "]")
        {
            let indent = line.len() - line.trim_start().len();
            out.push_str(&format!("{}{}\n", " ".repeat(indent / 2), line.trim().trim_end_matches(',')));
        }
        at += 1;
    }
    out
}

#[test]
fn trees() {
    golden("trees.txt", tree);
}

#[test]
fn errors() {
    golden("errors.txt", |text| match parser::parse(text) {
        Ok(_) => "accepted".into(),
        Err(e) => {
            let span = e.span().unwrap_or_default();
            let hint = e.hint().map_or(String::new(), |hint| format!("\nHINT: {hint}"));
            format!("{} at {}: {}{hint}", e.code(), span.character_position(text), e.message())
        }
    });
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("--"))
}

#[test]
fn everyday_statements_parse() {
    let mut count = 0;
    for text in lines(include_str!("../testdata/everyday.sql")) {
        let statements = parser::parse(text).unwrap_or_else(|e| panic!("{e:?}: {text}"));
        for statement in &statements {
            let part = statement.text(text);
            assert!(!part.ends_with([';', ' ']), "{part}");
            assert!(!statement.command_tag().is_empty());
        }
        count += 1;
    }
    assert!(count > 440, "{count}");
}

#[test]
fn refused_statements_are_refused_aloud() {
    for text in lines(include_str!("../testdata/refused.sql")) {
        match parser::parse(text) {
            Ok(tree) => panic!("accepted: {text}\n{tree:?}"),
            Err(e) => assert!(
                matches!(e.code(), SqlState::SYNTAX_ERROR | SqlState::FEATURE_NOT_SUPPORTED)
                    && e.span().is_some(),
                "{e:?}: {text}"
            ),
        }
    }
}

/// What sqlparser reads as something else without an error (docs/decisions/0002-parser.md).
#[test]
fn nothing_is_misread_in_silence() {
    let print = |text: &str| parser::deparse::expr(&parser::parse_expr(text).unwrap());
    for (text, meaning) in [
        ("-2 ^ 2", "((-2) ^ 2)"),
        ("a ISNULL", "(a IS NULL)"),
        ("0x1F + 0b101 + 0o17", "((31 + 5) + 15)"),
        ("'a'\n'b'", "'ab'"),
        ("U&'d\\0061ta'", "'data'"),
        ("E'\\x41\\n'", "'A\n'"),
        ("$x$a'b$x$", "'a''b'"),
        ("inet '10.0.0.1'", "'10.0.0.1'::inet"),
        ("daterange '[a,b)'", "'[a,b)'::daterange"),
        ("s.mood 'sad'", "'sad'::s.mood"),
        ("true <> -1 BETWEEN 1 AND 1", "(true <> ((-1) BETWEEN 1 AND 1))"),
        ("not a is null", "(NOT (a IS NULL))"),
        ("a || b -> c", "((a || b) -> c)"),
        ("a is null = b", "((a IS NULL) = b)"),
    ] {
        assert_eq!(print(text), meaning, "{text}");
    }
    assert!(parser::parse("select 'a' 'b'").is_err());
}

#[test]
fn texts_split_as_in_postgres() {
    let parts = |text: &'static str| -> Vec<&'static str> {
        parser::parse(text).unwrap().iter().map(|statement| statement.text(text)).collect()
    };
    assert_eq!(parts(""), Vec::<&str>::new());
    assert_eq!(parts(" ;; -- nothing\n ;"), Vec::<&str>::new());
    assert_eq!(
        parts(" select 1 ; select ';' /* ; */ ;select $$;$$"),
        ["select 1", "select ';'", "select $$;$$"]
    );
    assert_eq!(
        parts("create function f() returns int begin atomic select 1; select 2; end; select 3").len(),
        2
    );
}
