//! The lifted text with its literals put back is the text.

use parser::fingerprint::fingerprint;
use parser::parse;

/// The tree as text, without the places.
fn shape(text: &str) -> String {
    let statements = parse(text).unwrap_or_else(|e| panic!("{e:?}: {text}"));
    let mut out: String = statements.iter().map(|one| format!("{:?}", one.node)).collect();
    while let Some(from) = out.find("Span {") {
        let len = out[from..].find('}').map_or(out.len() - from, |at| at + 1);
        out.replace_range(from..from + len, "·");
    }
    out
}

#[test]
fn literals_put_back_give_the_same_tree() {
    let lines = include_str!("../testdata/everyday.sql")
        .lines()
        .chain(include_str!("../testdata/expressions.sql").lines());
    let mut lifted = 0;
    for text in lines.filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let Some(fingerprint) = fingerprint(text) else { continue };
        let mut found = shape(&fingerprint.text);
        for (i, literal) in fingerprint.literals.iter().enumerate() {
            let param = format!("ParamRef(ParamRef {{ number: {}, span: · }})", i + 1);
            let constant = format!("Const(Const {{ value: {:?}, span: · }})", literal.value);
            assert_eq!(found.matches(&param).count(), 1, "{text}\n{}", fingerprint.text);
            found = found.replace(&param, &constant);
            let source = &text[literal.span.start as usize..literal.span.end as usize];
            assert!(!source.is_empty() && source.trim() == source, "{text}: {source:?}");
        }
        assert_eq!(found, shape(text), "{text}\n{}", fingerprint.text);
        // Lifting what was lifted finds nothing more: it has parameters now.
        assert!(self::fingerprint(&fingerprint.text).is_none());
        lifted += 1;
    }
    assert!(lifted > 40, "{lifted}");
}
