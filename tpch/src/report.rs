//! The tables printed at the end.
//!
//! Called by `main.rs`. Durations are milliseconds below ten seconds, seconds above.

use std::fmt::Write as _;
use std::time::Duration;

use crate::load::LoadTime;
use crate::queries::Query;
use crate::run::{Side, Verdict};

/// One query's line.
pub struct Line<'a> {
    pub query: &'a Query,
    pub sides: Vec<Side>,
    pub verdict: Verdict,
}

/// The query table: rows, best time per server, ratio, verdict; below it totals and what went wrong.
pub fn queries(names: &[&str], runs: usize, lines: &[Line<'_>]) -> String {
    let mut out = String::new();
    let _ = write!(out, "query      rows");
    for name in names {
        let _ = write!(out, "  {name:>12}");
        if runs > 1 {
            let _ = write!(out, "  {:>12}", "worst");
        }
    }
    if names.len() == 2 {
        let _ = write!(out, "  {:>6}", "ratio");
    }
    out.push_str("  answer\n");
    for line in lines {
        query_line(line, runs, &mut out);
    }
    totals(names, runs, lines, &mut out);
    for line in lines {
        if let Verdict::Wrong(why) | Verdict::Failed(why) = &line.verdict {
            let _ = writeln!(out, "Q{} ({}): {why}", line.query.number, line.query.title);
        }
    }
    out
}

fn query_line(line: &Line<'_>, runs: usize, out: &mut String) {
    let rows =
        line.sides.first().and_then(|side| side.answer.as_ref().ok()).map(|a| a.rows.len().to_string());
    let _ = write!(out, "Q{:<4} {:>9}", line.query.number, rows.as_deref().unwrap_or("-"));
    for side in &line.sides {
        let _ = write!(out, "  {:>12}", optional(side.best()));
        if runs > 1 {
            let _ = write!(out, "  {:>12}", optional(side.worst()));
        }
    }
    if line.sides.len() == 2 {
        let ratio = ratio(line).map_or("-".to_owned(), |r| format!("{r:.2}"));
        let _ = write!(out, "  {ratio:>6}");
    }
    let word = match line.verdict {
        Verdict::Right => "ok",
        Verdict::Unchecked => "not checked",
        Verdict::Wrong(_) => "WRONG",
        Verdict::Failed(_) => "FAILED",
    };
    let _ = writeln!(out, "  {word}");
}

/// First server's best time over the second's: below 1, the first is faster.
fn ratio(line: &Line<'_>) -> Option<f64> {
    match line.sides.as_slice() {
        [a, b] => Some(a.best()?.as_secs_f64() / b.best()?.as_secs_f64()),
        _ => None,
    }
}

/// Sums of the best times, over the queries that every server finished.
fn totals(names: &[&str], runs: usize, lines: &[Line<'_>], out: &mut String) {
    let complete: Vec<&Line<'_>> =
        lines.iter().filter(|line| line.sides.iter().all(|side| side.best().is_some())).collect();
    let _ = write!(out, "total {:>9}", format!("{} done", complete.len()));
    let mut sums = Vec::new();
    for side in 0..names.len() {
        let sum: Duration = complete.iter().filter_map(|line| line.sides.get(side)?.best()).sum();
        let _ = write!(out, "  {:>12}", duration(sum));
        if runs > 1 && side + 1 < names.len() {
            let _ = write!(out, "  {:>12}", "");
        }
        sums.push(sum.as_secs_f64());
    }
    if let [a, b] = sums.as_slice() {
        let gap = if runs > 1 { 14 } else { 0 };
        let _ = write!(out, "{:gap$}  {:>6.2}", "", a / b.max(1e-9));
        let logs: Vec<f64> = complete.iter().filter_map(|line| ratio(line)).map(f64::ln).collect();
        if !logs.is_empty() {
            let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            let slowest = complete.iter().filter_map(|line| Some((ratio(line)?, line.query.number)));
            let slowest = slowest.max_by(|a, b| a.0.total_cmp(&b.0));
            let _ = write!(out, "\ngeometric mean of the ratios {mean:.2}");
            if let Some((ratio, number)) = slowest {
                let _ = write!(out, ", the highest {ratio:.2} (Q{number})");
            }
        }
    }
    out.push('\n');
}

/// One server's line about loading.
pub fn load(name: &str, time: &LoadTime) -> String {
    let megabytes = time.size_bytes as f64 / 1e6;
    format!(
        "{name}: loaded {} rows, {megabytes:.0} MB of text, in {} (copy {} = {:.1} MB/s, indexes {}, analyze {})",
        time.rows,
        duration(time.total()),
        duration(time.copy),
        megabytes / time.copy.as_secs_f64().max(1e-9),
        duration(time.index),
        duration(time.analyze)
    )
}

/// One server's line about space.
pub fn size(name: &str, size_bytes: Option<u64>) -> String {
    match size_bytes {
        Some(bytes) => format!("{name}: {:.1} MB on disk", bytes as f64 / 1e6),
        None => format!("{name}: size on disk unknown (no pg_database_size, no pg_total_relation_size)"),
    }
}

fn optional(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), duration)
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::answer::Answer;
    use crate::queries::QUERIES;

    fn side(ms: &[u64]) -> Side {
        let answer = Answer { columns: vec!["a".into()], rows: vec![vec![None]; 3] };
        Side { times: ms.iter().copied().map(Duration::from_millis).collect(), answer: Ok(answer) }
    }

    #[test]
    fn table_of_two_servers() {
        let failed = Side { times: Vec::new(), answer: Err(Error::new("ERROR XX000: oh")) };
        let lines = [
            Line {
                query: &QUERIES[0],
                sides: vec![side(&[10, 12]), side(&[40, 20])],
                verdict: Verdict::Right,
            },
            Line {
                query: &QUERIES[1],
                sides: vec![side(&[80]), side(&[40])],
                verdict: Verdict::Wrong("b".into()),
            },
            Line {
                query: &QUERIES[2],
                sides: vec![failed, side(&[11_000])],
                verdict: Verdict::Failed("oh".into()),
            },
        ];
        let expected = "\
query      rows         cairn         worst    postgresql         worst   ratio  answer
Q1            3       10.0 ms       12.0 ms       20.0 ms       40.0 ms    0.50  ok
Q2            3       80.0 ms       80.0 ms       40.0 ms       40.0 ms    2.00  WRONG
Q3            -             -             -       11.00 s       11.00 s       -  FAILED
total    2 done       90.0 ms                     60.0 ms                  1.50
geometric mean of the ratios 1.00, the highest 2.00 (Q2)
Q2 (minimum cost supplier): b
Q3 (shipping priority): oh
";
        assert_eq!(queries(&["cairn", "postgresql"], 2, &lines), expected);
    }
}
