//! The processor time of a server's processes, from /proc.
//!
//! Called by `run.rs`. Counts a process, the children it has, and those it had: a PostgreSQL session is a
//! child that ends with its connection, and its time then is its parent's.

use std::time::Duration;

/// /proc counts in hundredths of a second on every Linux that runs cairn (USER_HZ).
const TICK_MS: u64 = 10;

/// User and system time so far of the process tree below `pid`; `None` where /proc does not tell.
pub fn used_by(pid: u32) -> Option<Duration> {
    Some(Duration::from_millis(ticks(pid, 0)? * TICK_MS))
}

fn ticks(pid: u32, depth: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut sum = own_ticks(&stat)?;
    // A process that ends while we look is counted by its parent the next time.
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    if depth < 8 {
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        sum += children.filter_map(|child| ticks(child, depth + 1)).sum::<u64>();
    }
    Some(sum)
}

/// utime, stime, cutime and cstime: fields 14 to 17. The second field is a name that may hold anything, in
/// brackets.
fn own_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut sum = 0;
    let mut fields = fields.split_whitespace().skip(11);
    for _ in 14..=17 {
        sum += fields.next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7";
        assert_eq!(own_ticks(stat), Some(127));
        assert_eq!(own_ticks("42 (cut) S 1"), None);
    }

    #[test]
    fn our_own_time_grows() {
        let before = used_by(std::process::id()).unwrap();
        let mut x = 0u64;
        while used_by(std::process::id()).unwrap() <= before {
            x = std::hint::black_box(x.wrapping_add(1));
        }
    }
}
