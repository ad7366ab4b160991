//! Who waits for whom, and deadlocks.
//!
//! Called by whoever has found a lock taken. A wait names all that are in the way, and is looked at at once: when
//! they wait, directly or not, for the one who asks, that is 40P01 for him. Sessions are what waits: a
//! transaction and the session-long locks of the same session are one.
//!
//! *Hard* edges lead to those who hold a lock, *soft* ones to those who stand before in its queue. A cycle with a soft
//! edge is no deadlock: the one behind it is told to go past the queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::buffer::guard::Held;
use crate::undo::TxState;
use crate::wait::{self, Signal, WaitReason};

/// Who is in the way of a lock.
#[derive(Default)]
pub struct Blockers {
    hard: Vec<Arc<TxState>>,
    soft: Vec<Arc<TxState>>,
    /// The one to wait for before looking again: the last, so that a long queue does not wake at once.
    on: Option<(Arc<TxState>, Arc<Signal>)>,
}

impl Blockers {
    pub fn hard(&mut self, tx: Arc<TxState>, signal: Arc<Signal>) {
        self.hard.push(tx.clone());
        self.on = Some((tx, signal));
    }

    pub fn soft(&mut self, tx: Arc<TxState>, signal: Arc<Signal>) {
        self.soft.push(tx.clone());
        self.on = Some((tx, signal));
    }

    pub fn is_empty(&self) -> bool {
        self.on.is_none()
    }

    #[cfg(test)]
    pub fn signal(&self) -> Option<Arc<Signal>> {
        self.on.as_ref().map(|(_, signal)| signal.clone())
    }

    #[cfg(test)]
    pub fn ids(&self) -> (Vec<u64>, Vec<u64>) {
        let ids = |list: &[Arc<TxState>]| list.iter().map(|tx| tx.id).collect();
        (ids(&self.hard), ids(&self.soft))
    }
}

impl std::fmt::Debug for Blockers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hard {:?}, soft {:?}", self.hard, self.soft)
    }
}

struct Waiting {
    process_id: i32,
    hard: Vec<Arc<TxState>>,
    soft: Vec<Arc<TxState>>,
    /// Whose signal it waits for.
    on: Arc<TxState>,
    signal: Arc<Signal>,
    /// Told to go past the queue.
    jump: bool,
    /// `ShareLock on transaction 7`, as deadlock reports say it.
    what: String,
    /// The owner of the row that is waited for, when it is a row.
    transaction: Option<u64>,
}

#[derive(Default)]
pub struct WaitGraph {
    /// By session.
    waiting: Mutex<HashMap<u64, Waiting>>,
}

impl WaitGraph {
    /// Returns when it is worth looking again; true: past the queue this time. `what` is wanted, for the report;
    /// `ShareLock on transaction …` without. 40P01, 55P03 at the deadline, or what the waiter says.
    pub fn wait(
        &self,
        me: &TxState,
        blockers: Blockers,
        what: Option<String>,
        deadline: Option<Instant>,
    ) -> Result<bool> {
        Held::assert_none();
        let Blockers { hard, soft, on } = blockers;
        let Some((on, signal)) = on else { return Ok(false) };
        let transaction = if what.is_some() { None } else { Some(hard.first().map_or(on.id, |tx| tx.id)) };
        let what =
            what.unwrap_or_else(|| format!("ShareLock on transaction {}", transaction.unwrap_or(on.id)));
        {
            let mut waiting = self.waiting.lock();
            let signal = signal.clone();
            let process_id = me.process_id();
            let own = Waiting { process_id, hard, soft, on, signal, jump: false, what, transaction };
            waiting.insert(me.session(), own);
            while let Some(path) = cycle(&waiting, me.session()) {
                // The edges of the path, by who waits; one that only queues need not wait for that.
                let queues = path.iter().find(|(waiter, to)| {
                    waiting.get(waiter).is_some_and(|w| !w.hard.iter().any(|tx| tx.session() == to.session()))
                });
                let Some((queues, _)) = queues else {
                    let detail = report(&waiting, &path);
                    waiting.remove(&me.session());
                    return Err(Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                        .with_detail(detail)
                        .with_hint("See server log for query details."));
                };
                if *queues == me.session() {
                    waiting.remove(&me.session());
                    return Ok(true);
                }
                if let Some(other) = waiting.get_mut(queues) {
                    other.soft.clear();
                    other.jump = true;
                    other.on.bump();
                }
            }
        }
        let result = wait::wait(&signal, WaitReason::Lock, deadline);
        let jump = self.waiting.lock().remove(&me.session()).is_some_and(|own| own.jump);
        if result? {
            Ok(jump)
        } else {
            Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"))
        }
    }

    /// Process ids of the sessions that `process_id` waits for (pg_blocking_pids).
    pub fn blocking(&self, process_id: i32) -> Vec<i32> {
        let waiting = self.waiting.lock();
        // Who has been woken waits for the processor only.
        let own = waiting.values().find(|own| own.process_id == process_id && !own.signal.is_set());
        let mut found: Vec<i32> =
            own.iter().flat_map(|own| own.hard.iter().chain(&own.soft)).map(|tx| tx.process_id()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Who waits for a row: process id, and the transaction that owns it.
    pub fn row_waits(&self) -> Vec<(i32, u64)> {
        let waiting = self.waiting.lock();
        waiting.values().filter_map(|own| Some((own.process_id, own.transaction?))).collect()
    }
}

pub fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.map(|timeout| Instant::now() + timeout)
}

/// A path of waits from `start` back to it: who waits, for whom. Who has been woken waits for nobody, though he has not
/// got the processor yet to say so; and a session's transaction that is over does not speak for its next one.
fn cycle(waiting: &HashMap<u64, Waiting>, start: u64) -> Option<Vec<(u64, Arc<TxState>)>> {
    let edges = |session: u64| match waiting.get(&session) {
        Some(own) if !own.signal.is_set() => {
            own.hard.iter().chain(&own.soft).filter(|tx| !tx.is_over()).cloned().collect()
        }
        _ => Vec::new(),
    };
    let mut seen = std::collections::HashSet::from([start]);
    let mut path: Vec<(u64, Arc<TxState>)> = Vec::new();
    // One list of edges yet to be tried for each step of the path, and one more.
    let mut ahead: Vec<(u64, Vec<Arc<TxState>>)> = vec![(start, edges(start))];
    while let Some((session, rest)) = ahead.last_mut() {
        let session = *session;
        let Some(next) = rest.pop() else {
            ahead.pop();
            path.pop();
            continue;
        };
        let to = next.session();
        if to == start {
            path.push((session, next));
            return Some(path);
        }
        if seen.insert(to) && waiting.contains_key(&to) {
            path.push((session, next));
            ahead.push((to, edges(to)));
        }
    }
    None
}

/// PostgreSQL's detail lines.
fn report(waiting: &HashMap<u64, Waiting>, path: &[(u64, Arc<TxState>)]) -> String {
    let lines = path.iter().filter_map(|(waiter, on)| {
        let own = waiting.get(waiter)?;
        let (waits, blocks) = (own.process_id, on.process_id());
        Some(format!("Process {waits} waits for {}; blocked by process {blocks}.", own.what))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blockers(hard: &[&Arc<TxState>], soft: &[&Arc<TxState>]) -> Blockers {
        let mut blockers = Blockers::default();
        hard.iter().for_each(|tx| blockers.hard((*tx).clone(), tx.signal()));
        soft.iter().for_each(|tx| blockers.soft((*tx).clone(), tx.signal()));
        blockers
    }

    fn transactions() -> Vec<Arc<TxState>> {
        (1..=4).map(|id| Arc::new(TxState::new(id, 10 * id as i32))).collect()
    }

    #[test]
    fn a_cycle_of_three_is_found_by_the_one_who_closes_it() {
        let graph = Arc::new(WaitGraph::default());
        let tx = transactions();
        // The second of those in the way closes it, not only the first.
        let waiters: Vec<_> = [(0, vec![3, 1]), (1, vec![2])]
            .map(|(a, on)| {
                let (graph, a) = (graph.clone(), tx[a].clone());
                let on: Vec<_> = on.into_iter().map(|on| tx[on].clone()).collect();
                std::thread::spawn(move || {
                    graph.wait(&a, blockers(&on.iter().collect::<Vec<_>>(), &[]), None, None)
                })
            })
            .into();
        while graph.waiting.lock().len() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(graph.blocking(10), [20, 40]);
        let error = graph.wait(&tx[2], blockers(&[&tx[0]], &[]), None, None).unwrap_err();
        assert_eq!(error.code().as_str(), "40P01");
        let detail = error.detail().unwrap();
        assert!(
            detail.starts_with("Process 30 waits for ShareLock on transaction 1; blocked by process 10.\n"),
            "{detail}"
        );
        assert_eq!(detail.lines().count(), 3);
        tx.iter().for_each(|tx| tx.end());
        for waiter in waiters {
            assert!(!waiter.join().unwrap().unwrap());
        }
        let soon = deadline(Some(Duration::from_millis(1)));
        let other = Arc::new(TxState::new(9, 9));
        let error = graph.wait(&tx[0], blockers(&[&other], &[]), None, soon).unwrap_err();
        assert_eq!(error.code().as_str(), "55P03");
        assert!(graph.waiting.lock().is_empty());
    }

    #[test]
    fn a_session_that_has_gone_on_to_its_next_transaction_is_not_waited_for() {
        let graph = Arc::new(WaitGraph::default());
        let new = |id, process_id| Arc::new(TxState::new(id, process_id));
        let (first, other, bystander) = (new(1, 10), new(2, 20), new(3, 30));
        // 20 waits for the first transaction of 10, which ends; he also names a bystander, whose signal he waits for.
        let waiter = {
            let (graph, first, other, bystander) =
                (graph.clone(), first.clone(), other.clone(), bystander.clone());
            std::thread::spawn(move || graph.wait(&other, blockers(&[&first, &bystander], &[]), None, None))
        };
        while graph.waiting.lock().is_empty() {
            std::thread::yield_now();
        }
        first.set_committed(5);
        first.end();
        // The next transaction of 10 waits for 20: no deadlock.
        let soon = deadline(Some(Duration::from_millis(20)));
        let second = new(4, 10);
        let error = graph.wait(&second, blockers(&[&other], &[]), None, soon).unwrap_err();
        assert_eq!(error.code().as_str(), "55P03");
        // Nor while 20 has been woken and not looked again.
        let woken = Waiting {
            process_id: 20,
            hard: vec![second.clone()],
            soft: Vec::new(),
            on: bystander.clone(),
            signal: Signal::new(),
            jump: false,
            what: String::new(),
            transaction: None,
        };
        woken.signal.set();
        bystander.end();
        assert!(!waiter.join().unwrap().unwrap());
        graph.waiting.lock().insert(other.session(), woken);
        let soon = deadline(Some(Duration::from_millis(20)));
        let error = graph.wait(&second, blockers(&[&other], &[]), None, soon).unwrap_err();
        assert_eq!(error.code().as_str(), "55P03");
    }

    #[test]
    fn a_queue_is_no_deadlock() {
        let graph = Arc::new(WaitGraph::default());
        let tx = transactions();
        // 2 waits for 1; 3 stands behind 2, though 1 would share with him; now 1 waits for 3.
        let waits = |me: usize, hard: Vec<usize>, soft: Vec<usize>| {
            let (graph, tx) = (graph.clone(), tx.clone());
            std::thread::spawn(move || {
                let list = |ids: Vec<usize>| ids.into_iter().map(|id| tx[id].clone()).collect::<Vec<_>>();
                let (hard, soft) = (list(hard), list(soft));
                let blockers = blockers(&hard.iter().collect::<Vec<_>>(), &soft.iter().collect::<Vec<_>>());
                graph.wait(&tx[me], blockers, None, None)
            })
        };
        let second = waits(1, vec![0], vec![]);
        let third = waits(2, vec![], vec![1]);
        while graph.waiting.lock().len() < 2 {
            std::thread::yield_now();
        }
        let first = waits(0, vec![2], vec![]);
        assert!(third.join().unwrap().unwrap(), "3 is told to go past 2");
        // Had 3 come last, he would be told at once.
        assert!(graph.wait(&tx[2], blockers(&[], &[&tx[1]]), None, None).unwrap());
        tx.iter().for_each(|tx| tx.end());
        assert!(!first.join().unwrap().unwrap());
        assert!(!second.join().unwrap().unwrap());
    }
}
