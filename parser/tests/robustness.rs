//! No text panics, overflows a 1 MiB stack or takes unreasonably long: deep nesting, long chains, mutations.

use std::fmt::Write;

use types::SqlState;

/// Runs `f` with the stack that the promise speaks of.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(f).expect("a thread starts");
    thread.join().expect("the text was parsed without a panic");
}

fn nested(open: &str, close: &str, inner: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// Shapes that nest: what opens a level, what closes it, what is innermost, what stands in front.
const SHAPES: &[(&str, &str, &str, &str)] = &[
    ("select ", "(", ")", "1"),
    ("select ", "(1+", ")", "1"),
    ("select ", "-(", ")", "1"),
    ("select ", "- ", "", "1"),
    ("select ", "not ", "", "true"),
    ("select ", "@ ", "", "1"),
    ("select ", "f(", ")", "1"),
    ("select ", "coalesce(", ")", "1"),
    ("select ", "cast(", " as int)", "1"),
    ("select ", "case when ", " then 1 end", "true"),
    ("select ", "case when true then 1 else ", " end", "2"),
    ("select ", "array[", "]", "1"),
    ("select array", "[", "]", "1"),
    ("select ", "row(", ")", "1"),
    ("select ", "(1, ", ")", "2"),
    ("select ", "(select ", ")", "1"),
    ("select ", "exists (select ", ")", "1"),
    ("select ", "1 in (", ")", "1"),
    ("select ", "1 = any (", ")", "a"),
    ("select ", "a[", "]", "1"),
    ("select ", "1 between 1 and (", ")", "1"),
    ("select ", "substring(a from ", ")", "1"),
    ("select ", "sum(1) over (order by ", ")", "1"),
    ("select ", "sum(1) filter (where ", ")", "1"),
    ("select ", "1 + ", "", "1"),
    ("select ", "1 ^ ", "", "1"),
    ("select ", "a or b and ", "", "c"),
    ("select ", "a like b escape ", "", "c"),
    ("select ", "a is distinct from (", ")", "c"),
    ("select ", "numeric(1)::", "", "int"),
    ("", "(", ")", "select 1"),
    ("", "(select 1 union ", ")", "select 2"),
    ("", "select * from (", ") x", "select 1"),
    ("select * from ", "(", ") x", "select 1"),
    ("select * from ", "((select 1) x join ", " on true)", "t"),
    ("select * from ", "(", " join t on true)", "t"),
    ("select * from ", "t join ", " on true", "t"),
    ("", "with a as (", ") select 1", "select 2"),
    ("", "select 1 where a in (", ")", "select 1"),
    ("select 1 group by ", "grouping sets (", ")", "a"),
    ("", "explain ", "", "select 1"),
    ("", "create schema s ", "", "create table t (a int)"),
    ("select a::", "numeric(1::", ")", "int"),
];

#[test]
fn nesting_without_end_is_54001() {
    on_a_small_stack(|| {
        for (front, open, close, inner) in SHAPES {
            let text = format!("{front}{}", nested(open, close, inner, 100_000));
            match parser::parse(&text) {
                Err(e) if e.code() == SqlState::STATEMENT_TOO_COMPLEX => {
                    assert_eq!(e.message(), "stack depth limit exceeded");
                    assert!(e.hint().is_some() && e.span().is_some());
                }
                // Flat after all, or a shape that cannot nest.
                Ok(tree) => drop(tree.clone()),
                Err(e) if e.code() == SqlState::SYNTAX_ERROR => {}
                Err(e) => panic!("{open}: {e:?}"),
            }
        }
    });
}

/// The deepest tree that is accepted can be cloned, compared, printed and dropped.
#[test]
fn the_deepest_tree_can_be_walked() {
    on_a_small_stack(|| {
        for (front, open, close, inner) in SHAPES {
            let (mut low, mut high) = (1, 2 * parser::MAX_DEPTH as usize);
            while low < high {
                let middle = (low + high).div_ceil(2);
                match parser::parse(&format!("{front}{}", nested(open, close, inner, middle))) {
                    Ok(_) => low = middle,
                    Err(_) => high = middle - 1,
                }
            }
            if let Ok(tree) = parser::parse(&format!("{front}{}", nested(open, close, inner, low))) {
                assert_eq!(tree, tree.clone());
            }
        }
    });
}

#[test]
fn long_flat_chains_are_fine() {
    on_a_small_stack(|| {
        let n = 50_000;
        let list = |item: &str, separator: &str| vec![item; n].join(separator);
        for text in [
            format!("select {}", list("a = 1", " and ")),
            format!("select {}", list("a = 1", " or ")),
            format!("select {}", list("a", ", ")),
            format!("select a in ({})", list("1", ", ")),
            list("select 1", " union all "),
            list("select 1", ";"),
            format!("insert into t values {}", list("(1, 'x')", ", ")),
            format!("select * from {}", list("t", ", ")),
            format!("select case {} end", list("when a then 1", " ")),
            format!("select '{}'", "x".repeat(10_000_000)),
        ] {
            let tree = parser::parse(&text).unwrap();
            assert_eq!(tree.clone().len(), tree.len());
        }
        for chain in [" + ", " || ", " ^ "] {
            let e = parser::parse(&format!("select {}", list("1", chain))).unwrap_err();
            assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
        }
        // Two left-deep chains, one inside the other, add up.
        let inner = vec!["1"; 600].join("+");
        let text = format!("select ({inner}) + {}", vec!["1"; 600].join("+"));
        assert_eq!(parser::parse(&text).unwrap_err().code(), SqlState::STATEMENT_TOO_COMPLEX);
        let text = format!("select {}, {}", inner, inner);
        assert!(parser::parse(&text).is_ok());
    });
}

/// A small generator of chance: the run is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

#[test]
fn mutations_never_panic() {
    let corpus: Vec<&str> = include_str!("../testdata/everyday.sql")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .collect();
    let words: Vec<&str> =
        corpus.iter().flat_map(|line| line.split_inclusive([' ', '(', ',', '\''])).collect();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..40_000 {
        let mut bytes = corpus[chance.below(corpus.len())].as_bytes().to_vec();
        for _ in 0..=chance.below(3) {
            let at = chance.below(bytes.len());
            match chance.below(6) {
                0 => bytes[at] = chance.below(256) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"'\"$\\()[];:.,*/-+Eu&\0\n"[chance.below(21)]),
                3 => bytes.truncate(at.max(1)),
                4 => {
                    let word = words[chance.below(words.len())].bytes();
                    bytes.splice(at..at, word);
                }
                _ => {
                    let other = corpus[chance.below(corpus.len())].as_bytes();
                    let from = chance.below(other.len());
                    bytes.splice(at.., other[from..].iter().copied());
                }
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match parser::parse(&text) {
            Ok(statements) => {
                accepted += 1;
                let mut whole = String::new();
                for statement in &statements {
                    assert!(!statement.text(&text).is_empty(), "round {round}: {text}");
                    let _ = write!(whole, "{}", statement.command_tag());
                }
            }
            Err(e) => {
                refused += 1;
                let span = e.span().unwrap_or_else(|| panic!("no place: {e:?} of {text}"));
                assert!(span.start <= span.end && span.end as usize <= text.len(), "{e:?} of {text}");
                assert!(text.is_char_boundary(span.start as usize), "{e:?} of {text}");
            }
        }
    }
    assert!(accepted > 1_000 && refused > 10_000, "{accepted} {refused}");
}
