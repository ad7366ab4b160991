//! The sqllogictest format: a script of statements and queries with what they must give.
//!
//! Called by `slt.rs`. Records are separated by empty lines; a line that starts with `#` is a comment.
//!
//! ```text
//! statement ok                      succeeds
//! statement count 3                 succeeds, and its command tag counts 3 rows
//! statement error 42703 column "x"  fails with this SQLSTATE, and a message that contains this
//! query [nosort|rowsort] [LABEL]    gives the lines after ----, one per row, values joined with bars
//! query error 22012                 as for a statement
//! skipif NAME, onlyif NAME          the next record, on this server only or everywhere else
//! connection NAME                   the next record runs in this session; sessions open when first named
//! halt                              the script ends here
//! ```
//!
//! NULL shows as `NULL`, an empty string as `(empty)`. Newlines inside a value show as `\n`.

/// A script, record by record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The line it starts at, from 1.
    pub line: usize,
    pub sql: String,
    pub expect: Expect,
    /// `Some((name, true))` is onlyif, `Some((name, false))` is skipif.
    pub condition: Option<(String, bool)>,
    pub connection: String,
    /// Where its expected rows lie in the text: from this line up to, not including, that one; from 1.
    pub rows_at: (usize, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    Ok,
    Count(u64),
    Error { code: String, message: String },
    Rows { sorted: bool, rows: Vec<String> },
}

/// Reads a script; an error names the line.
pub fn parse(text: &str) -> Result<Vec<Record>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    let mut condition = None;
    let mut connection = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let start = at + 1;
        let words: Vec<&str> = line.split_whitespace().collect();
        at += 1;
        match words.as_slice() {
            [] => continue,
            [first, ..] if first.starts_with('#') => continue,
            ["halt"] => break,
            ["skipif", name] => condition = Some(((*name).to_owned(), false)),
            ["onlyif", name] => condition = Some(((*name).to_owned(), true)),
            ["connection", name] => connection = (*name).to_owned(),
            ["statement" | "query", rest @ ..] => {
                let is_query = words.first() == Some(&"query");
                let mut expect =
                    expectation(is_query, rest).ok_or_else(|| format!("line {start}: {line}"))?;
                let mut sql = Vec::new();
                while let Some(line) =
                    lines.get(at).filter(|line| !line.trim().is_empty() && **line != "----")
                {
                    sql.push(*line);
                    at += 1;
                }
                if sql.is_empty() {
                    return Err(format!("line {start}: no SQL"));
                }
                let mut rows_at = (at + 1, at + 1);
                if lines.get(at) == Some(&"----") {
                    at += 1;
                    let first = at;
                    while lines.get(at).is_some_and(|line| !line.is_empty()) {
                        at += 1;
                    }
                    rows_at = (first + 1, at + 1);
                    match &mut expect {
                        Expect::Rows { rows, .. } => {
                            *rows = lines[first..at].iter().map(|line| (*line).to_owned()).collect();
                        }
                        _ => return Err(format!("line {first}: only a query has rows")),
                    }
                }
                records.push(Record {
                    line: start,
                    sql: sql.join("\n"),
                    expect,
                    condition: condition.take(),
                    connection: std::mem::take(&mut connection),
                    rows_at,
                });
            }
            _ => return Err(format!("line {start}: not a record: {line}")),
        }
    }
    Ok(records)
}

fn expectation(is_query: bool, words: &[&str]) -> Option<Expect> {
    match words {
        ["error", code, message @ ..] if code.len() == 5 => {
            Some(Expect::Error { code: (*code).to_owned(), message: message.join(" ") })
        }
        ["ok"] if !is_query => Some(Expect::Ok),
        ["count", n] if !is_query => n.parse().ok().map(Expect::Count),
        rest if is_query => Some(Expect::Rows { sorted: rest.contains(&"rowsort"), rows: Vec::new() }),
        _ => None,
    }
}

/// A row as the format shows it.
pub fn row_text(values: &[Option<String>]) -> String {
    let shown = values.iter().map(|value| match value.as_deref() {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.replace('\n', "\\n"),
    });
    shown.collect::<Vec<_>>().join("|")
}

/// The script with other rows expected: `changes` are records' numbers and their rows.
pub fn rewrite(text: &str, records: &[Record], changes: &[(usize, Vec<String>)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = Vec::new();
    let mut next = 1;
    for (number, rows) in changes {
        let Some(record) = records.get(*number) else { continue };
        let (from, to) = record.rows_at;
        // Without `----` the rows go behind the SQL, which ends right before `from`.
        out.extend(lines[next - 1..from - 1].iter().map(|line| (*line).to_owned()));
        if lines.get(from.wrapping_sub(2)) != Some(&"----") {
            out.push("----".to_owned());
        }
        out.extend(rows.iter().cloned());
        next = to;
    }
    out.extend(lines.iter().skip(next - 1).map(|line| (*line).to_owned()));
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "# a comment\n\nstatement ok\ncreate table t\n  (a int)\n\nskipif postgresql\nquery rowsort\n\
                          select a from t\n----\n1\n2\n\nstatement error 42703 column \"x\"\nselect x\n\nquery\nselect 1\n";

    #[test]
    fn records_are_read() {
        let records = parse(SCRIPT).unwrap();
        assert_eq!(records.len(), 4);
        assert_eq!(records[0].sql, "create table t\n  (a int)");
        assert_eq!(records[1].expect, Expect::Rows { sorted: true, rows: vec!["1".into(), "2".into()] });
        assert_eq!(records[1].condition, Some(("postgresql".into(), false)));
        assert_eq!(records[2].expect, Expect::Error { code: "42703".into(), message: "column \"x\"".into() });
        assert_eq!((records[0].line, records[1].line), (3, 8));
        assert!(parse("statement perhaps\nselect 1").unwrap_err().contains("line 1"));
        assert!(parse("hello").is_err());
    }

    #[test]
    fn rows_are_rewritten_in_place() {
        let records = parse(SCRIPT).unwrap();
        let changed = rewrite(SCRIPT, &records, &[(1, vec!["7".into()]), (3, vec!["1".into()])]);
        let expected = SCRIPT.replace("\n1\n2\n", "\n7\n") + "----\n1\n";
        assert_eq!(changed, expected);
        assert_eq!(rewrite(SCRIPT, &records, &[]), SCRIPT);
    }
}
