//! What is printed: figures of a run, verdicts of the conditions, the comparison of two servers.
//!
//! Called by `main.rs`. Latencies are milliseconds.

use std::fmt::Write as _;

use crate::conditions::Verdict;
use crate::load::Loaded;
use crate::run::Outcome;
use crate::transaction::Kind;

/// One server's line about loading.
pub fn load(name: &str, loaded: &Loaded) -> String {
    let megabytes = loaded.size_bytes as f64 / 1e6;
    let (copy, total) = (loaded.copy.as_secs_f64(), loaded.total.as_secs_f64());
    format!(
        "{name}: loaded {} rows, {megabytes:.0} MB of text, in {total:.1} s (copy {copy:.1} s = {:.1} MB/s)",
        loaded.rows,
        megabytes / copy.max(1e-9)
    )
}

/// One server's figures.
pub fn run(name: &str, outcome: &Outcome) -> String {
    let seconds = outcome.duration.as_secs_f64().max(1e-9);
    let all = outcome.transactions();
    let mut out = format!(
        "{name}: {:.0} tpmC in {seconds:.1} s; {:.0} transactions a second{}\n",
        outcome.tpmc(),
        all as f64 / seconds,
        cpu(outcome)
    );
    let _ = writeln!(
        out,
        "  {:<13} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}  rolled back",
        "ms", "count", "share", "p50", "p95", "p99", "p99.9", "max"
    );
    for (kind, tally) in Kind::ALL.into_iter().zip(&outcome.tallies) {
        let latency = &tally.latency;
        let share = 100.0 * latency.len() as f64 / all.max(1) as f64;
        let _ = write!(out, "  {:<13} {:>9} {share:>6.1}%", kind.name(), latency.len());
        let quantiles = [0.5, 0.95, 0.99, 0.999].map(|quantile| latency.value_at_quantile(quantile));
        for latency_us in quantiles.into_iter().chain([latency.max()]) {
            let _ = write!(out, " {:>9.2}", latency_us as f64 / 1e3);
        }
        let _ = writeln!(out, "  {}", tally.rolled_back);
    }
    if outcome.errors.is_empty() {
        out.push_str("  errors: none\n");
    } else {
        let errors = outcome.errors.iter();
        let errors: Vec<String> =
            errors.map(|((kind, code), count)| format!("{code} × {count} in {}", kind.name())).collect();
        let _ = writeln!(out, "  errors: {}; all tried again", errors.join(", "));
    }
    out
}

fn cpu(outcome: &Outcome) -> String {
    let busy = outcome.cpu.map(|cpu| cpu.as_secs_f64() / outcome.duration.as_secs_f64().max(1e-9));
    match (outcome.cpu_us_per_transaction(), busy) {
        (Some(us), Some(busy)) => format!("; server CPU {us:.0} µs a transaction ({busy:.2} cores)"),
        _ => "; server CPU unknown".to_owned(),
    }
}

/// First server over second: above 1, the first did more (or needed more).
pub fn compare(names: [&str; 2], outcomes: [&Outcome; 2]) -> String {
    let [a, b] = outcomes;
    let p99 =
        |outcome: &Outcome| outcome.tallies[Kind::NewOrder as usize].latency.value_at_quantile(0.99) as f64;
    let mut out = format!(
        "{} / {}: tpmC {:.2}, p99 of new order {:.2}",
        names[0],
        names[1],
        a.tpmc() / b.tpmc().max(1e-9),
        p99(a) / p99(b).max(1e-9)
    );
    if let (Some(a), Some(b)) = (a.cpu_us_per_transaction(), b.cpu_us_per_transaction()) {
        let _ = write!(out, ", CPU a transaction {:.2}", a / b.max(1e-9));
    }
    out
}

/// One line for each condition, and the rows that violate it.
pub fn conditions(verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let word = if verdict.holds() { "ok" } else { "VIOLATED" };
        let (condition, seconds) = (&verdict.condition, verdict.time.as_secs_f64());
        let _ = writeln!(out, "  {:>2} {word:<8} {} ({seconds:.2} s)", condition.number, condition.title);
        for row in &verdict.rows.rows {
            let fields = verdict.rows.columns.iter().zip(row);
            let fields: Vec<String> = fields
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")))
                .collect();
            let _ = writeln!(out, "     {}", fields.join(" "));
        }
        if verdict.more {
            out.push_str("     …\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::*;
    use crate::ledger::Ledger;
    use crate::run::Tally;

    fn outcome(new_orders: u64, cpu_ms: u64) -> Outcome {
        let tallies = Kind::ALL
            .map(|kind| {
                let mut latency = Histogram::new(3).unwrap();
                for us in 1..=if kind == Kind::NewOrder { new_orders } else { 10 } {
                    latency.record(us * 1_000).unwrap();
                }
                Tally { latency, rolled_back: u64::from(kind == Kind::NewOrder) }
            })
            .to_vec();
        let errors = BTreeMap::from([((Kind::Payment, "40001".to_owned()), 3)]);
        let (duration, cpu) = (Duration::from_secs(2), Some(Duration::from_millis(cpu_ms)));
        Outcome { duration, tallies, errors, ledger: Ledger::default(), cpu }
    }

    #[test]
    fn figures_of_one_server_and_two() {
        let (a, b) = (outcome(101, 141), outcome(51, 182));
        let expected = "\
cairn: 3000 tpmC in 2.0 s; 70 transactions a second; server CPU 1000 µs a transaction (0.07 cores)
  ms                count   share       p50       p95       p99     p99.9       max  rolled back
  new order           101   71.6%     51.01     96.06    100.03    101.06    101.06  1
  payment              10    7.1%      5.00     10.01     10.01     10.01     10.01  1
";
        let text = run("cairn", &a);
        assert_eq!(text.lines().take(3).collect::<Vec<_>>(), expected.lines().take(3).collect::<Vec<_>>());
        assert!(text.ends_with("  errors: 40001 × 3 in payment; all tried again\n"), "{text}");
        let text = compare(["cairn", "postgresql"], [&a, &b]);
        assert_eq!(text, "cairn / postgresql: tpmC 2.00, p99 of new order 1.96, CPU a transaction 0.50");
    }
}
