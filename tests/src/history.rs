//! Judges a history of transactions that append to lists and read them.
//!
//! After Elle (Kingsbury, Alvaro 2020): values are unique, so a list that was read tells who wrote every version of it
//! and in what order. From that follow the dependencies between transactions — *ww* (wrote the version after), *wr* (read
//! what the other wrote), *rw* (read the version before) — and Adya's anomalies are cycles of them.
//!
//! | anomaly | is | forbidden from |
//! |---|---|---|
//! | G1a, G1b | a read of what was rolled back, of what was not yet final | READ COMMITTED |
//! | G0, G1c | a cycle of ww; of ww and wr | READ COMMITTED |
//! | lost | a committed append that the final list has not, or has twice | READ COMMITTED |
//! | internal | a transaction that does not see its own appends (or, from REPEATABLE READ on, sees others' come) | READ COMMITTED |
//! | G-nonadjacent | a cycle in which no two rw follow each other: G-single and all that snapshots forbid | REPEATABLE READ |
//! | G2 | any other cycle: write skew | SERIALIZABLE |

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Append { key: i32, value: i32 },
    Read { key: i32, list: Vec<i32> },
}

/// A transaction whose end is known.
#[derive(Debug, Clone)]
pub struct Done {
    pub ops: Vec<Op>,
    pub committed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    G0,
    G1a,
    G1b,
    G1c,
    Lost,
    Internal,
    /// Two reads of a list that are not of one history.
    Order,
    NonAdjacent,
    G2,
}

impl Kind {
    /// The weakest level that forbids it.
    pub fn forbidden_from(self) -> Level {
        match self {
            Kind::NonAdjacent => Level::RepeatableRead,
            Kind::G2 => Level::Serializable,
            _ => Level::ReadCommitted,
        }
    }
}

/// Something that should not be, and who took part.
#[derive(Debug, Clone)]
pub struct Anomaly {
    pub kind: Kind,
    pub what: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Edge {
    Ww,
    Wr,
    Rw,
}

/// What the history shows that `level` forbids. `finals` are the lists at the end.
pub fn judge(history: &[Done], finals: &BTreeMap<i32, Vec<i32>>, level: Level) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let versions = Versions::of(history, finals, &mut found);
    for (number, done) in history.iter().enumerate() {
        versions.check_reads(history, number, done, level, &mut found);
    }
    let edges = versions.edges(history);
    found.extend(cycles(history, &edges));
    found.retain(|anomaly| anomaly.kind.forbidden_from() <= level);
    found
}

struct Versions<'a> {
    /// Key → all its values in order.
    order: HashMap<i32, &'a [i32]>,
    /// Value → who appended it, to which key.
    writer: HashMap<i32, (usize, i32)>,
}

impl<'a> Versions<'a> {
    fn of(history: &[Done], finals: &'a BTreeMap<i32, Vec<i32>>, found: &mut Vec<Anomaly>) -> Versions<'a> {
        let mut writer = HashMap::new();
        for (number, done) in history.iter().enumerate() {
            for op in &done.ops {
                if let Op::Append { key, value } = op {
                    assert!(writer.insert(*value, (number, *key)).is_none(), "value {value} is not unique");
                }
            }
        }
        let order: HashMap<i32, &[i32]> = finals.iter().map(|(key, list)| (*key, list.as_slice())).collect();
        for (key, list) in finals {
            let mut seen = HashSet::new();
            for value in list {
                let known = writer.get(value);
                if !seen.insert(*value) || known.is_none_or(|(_, of)| of != key) {
                    let what = format!("value {value} is twice in list {key}, or from nowhere");
                    found.push(Anomaly { kind: Kind::Lost, what });
                }
            }
        }
        for (number, done) in history.iter().enumerate().filter(|(_, done)| done.committed) {
            for op in &done.ops {
                if let Op::Append { key, value } = op
                    && !order.get(key).is_some_and(|list| list.contains(value))
                {
                    let what =
                        format!("list {key} has not the value {value} that transaction {number} appended");
                    found.push(Anomaly { kind: Kind::Lost, what });
                }
            }
        }
        Versions { order, writer }
    }

    fn check_reads(
        &self,
        history: &[Done],
        number: usize,
        done: &Done,
        level: Level,
        found: &mut Vec<Anomaly>,
    ) {
        let mut add =
            |kind, what: String| found.push(Anomaly { kind, what: format!("transaction {number} {what}") });
        // What it knows of a list: as read, with its own appends; and the appends alone.
        let mut known: HashMap<i32, Vec<i32>> = HashMap::new();
        let mut own: HashMap<i32, Vec<i32>> = HashMap::new();
        for op in &done.ops {
            match op {
                Op::Append { key, value } => {
                    own.entry(*key).or_default().push(*value);
                    if let Some(list) = known.get_mut(key) {
                        list.push(*value);
                    }
                }
                Op::Read { key, list } => {
                    let mine = own.get(key).map_or(&[][..], Vec::as_slice);
                    if !list.ends_with(mine) {
                        add(Kind::Internal, format!("appended {mine:?} to list {key} and reads {list:?}"));
                    }
                    if level >= Level::RepeatableRead
                        && let Some(known) = known.get(key)
                        && known != list
                    {
                        add(Kind::Internal, format!("knows list {key} as {known:?} and reads {list:?}"));
                    }
                    let others = &list[..list.len() - mine.len().min(list.len())];
                    for value in others {
                        match self.writer.get(value) {
                            Some((writer, _)) if *writer == number => {}
                            Some((writer, _)) if !history[*writer].committed => {
                                add(Kind::G1a, format!("reads {value} of {writer}, which rolled back"));
                            }
                            Some(_) => {}
                            None => add(Kind::Order, format!("reads {value} from nowhere")),
                        }
                    }
                    if let Some(last) = others.last()
                        && let Some((writer, _)) = self.writer.get(last)
                        && *writer != number
                        && self.last_of(&history[*writer], *key) != Some(*last)
                    {
                        add(Kind::G1b, format!("reads list {key} up to {last}, which {writer} went on from"));
                    }
                    if done.committed {
                        let order = self.order.get(key).copied().unwrap_or(&[]);
                        if !order.starts_with(list) {
                            add(Kind::Order, format!("reads {list:?}; list {key} became {order:?}"));
                        }
                    }
                    known.insert(*key, list.clone());
                }
            }
        }
    }

    fn last_of(&self, done: &Done, of: i32) -> Option<i32> {
        done.ops.iter().rev().find_map(|op| match op {
            Op::Append { key, value } if *key == of => Some(*value),
            _ => None,
        })
    }

    fn edges(&self, history: &[Done]) -> Vec<Vec<(usize, Edge)>> {
        let mut edges: Vec<HashSet<(usize, Edge)>> = vec![HashSet::new(); history.len()];
        let writer = |value: &i32| self.writer.get(value).map(|(writer, _)| *writer);
        for list in self.order.values() {
            for pair in list.windows(2) {
                if let (Some(a), Some(b)) = (writer(&pair[0]), writer(&pair[1]))
                    && a != b
                {
                    edges[a].insert((b, Edge::Ww));
                }
            }
        }
        for (number, done) in history.iter().enumerate().filter(|(_, done)| done.committed) {
            for op in &done.ops {
                let Op::Read { key, list } = op else { continue };
                let order = self.order.get(key).copied().unwrap_or(&[]);
                let external = list.iter().take_while(|value| writer(value) != Some(number)).count();
                if external > 0
                    && let Some(from) = writer(&list[external - 1])
                {
                    edges[from].insert((number, Edge::Wr));
                }
                if let Some(next) = order.get(external).and_then(writer)
                    && next != number
                {
                    edges[number].insert((next, Edge::Rw));
                }
            }
        }
        let committed = |to: &(usize, Edge)| history[to.0].committed;
        edges
            .into_iter()
            .enumerate()
            .map(|(from, set)| {
                let mut list: Vec<_> = set.into_iter().filter(committed).collect();
                list.retain(|_| history[from].committed);
                list.sort_unstable();
                list
            })
            .collect()
    }
}

/// One anomaly for each strongly connected part, of the strongest kind that it shows.
fn cycles(history: &[Done], edges: &[Vec<(usize, Edge)>]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut reported: HashSet<usize> = HashSet::new();
    let only = |most: Edge| -> Vec<Vec<usize>> {
        edges
            .iter()
            .map(|list| list.iter().filter(|(_, e)| *e <= most).map(|(to, _)| *to).collect())
            .collect()
    };
    // A cycle without two rw in a row: a state is a transaction and whether an rw led to it.
    let non_adjacent: Vec<Vec<usize>> = (0..2 * edges.len())
        .map(|state| {
            let list = edges[state / 2].iter();
            let allowed = list.filter(|(_, edge)| *edge != Edge::Rw || state % 2 == 0);
            allowed.map(|(to, edge)| 2 * to + usize::from(*edge == Edge::Rw)).collect()
        })
        .collect();
    let graphs = [
        (Kind::G0, only(Edge::Ww), 1),
        (Kind::G1c, only(Edge::Wr), 1),
        (Kind::NonAdjacent, non_adjacent, 2),
        (Kind::G2, only(Edge::Rw), 1),
    ];
    for (kind, graph, states) in graphs {
        for part in connected(&graph) {
            let members: HashSet<usize> = part.iter().map(|state| state / states).collect();
            if members.iter().any(|member| reported.contains(member)) {
                continue;
            }
            reported.extend(&members);
            let Some(cycle) = shortest_cycle(&graph, &part) else { continue };
            let who: Vec<usize> = cycle.iter().map(|state| state / states).collect();
            let mut what = String::new();
            for (i, from) in who.iter().enumerate() {
                let to = who[(i + 1) % who.len()];
                let how: Vec<_> = edges[*from].iter().filter(|(t, _)| *t == to).map(|(_, e)| *e).collect();
                what.push_str(&format!("\n    {from} {how:?} {to}; {from} is {:?}", history[*from].ops));
            }
            found.push(Anomaly { kind, what });
        }
    }
    found
}

/// The strongly connected parts with a cycle (Tarjan 1972, without recursion).
fn connected(graph: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let (mut index, mut low) = (vec![NEW; graph.len()], vec![0; graph.len()]);
    let (mut on_stack, mut stack) = (vec![false; graph.len()], Vec::new());
    let (mut next, mut parts) = (0, Vec::new());
    for root in 0..graph.len() {
        if index[root] != NEW {
            continue;
        }
        let mut calls: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((node, edge)) = calls.last_mut() {
            let node = *node;
            if *edge == 0 {
                (index[node], low[node]) = (next, next);
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(&to) = graph[node].get(*edge) {
                *edge += 1;
                if index[to] == NEW {
                    calls.push((to, 0));
                } else if on_stack[to] {
                    low[node] = low[node].min(index[to]);
                }
                continue;
            }
            calls.pop();
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index[node] {
                let mut part = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    part.push(member);
                    if member == node {
                        break;
                    }
                }
                if part.len() > 1 || graph[node].contains(&node) {
                    parts.push(part);
                }
            }
        }
    }
    parts
}

fn shortest_cycle(graph: &[Vec<usize>], part: &[usize]) -> Option<Vec<usize>> {
    let inside: HashSet<usize> = part.iter().copied().collect();
    let mut best: Option<Vec<usize>> = None;
    for &start in part.iter().take(50) {
        let mut from: HashMap<usize, usize> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        'search: while let Some(node) = queue.pop_front() {
            for &to in graph[node].iter().filter(|to| inside.contains(to)) {
                if to == start {
                    let mut path = vec![node];
                    while let Some(before) = from.get(path.last().unwrap_or(&start)) {
                        path.push(*before);
                    }
                    path.reverse();
                    if best.as_ref().is_none_or(|best| path.len() < best.len()) {
                        best = Some(path);
                    }
                    break 'search;
                }
                if to != start && !from.contains_key(&to) {
                    from.insert(to, node);
                    queue.push_back(to);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(key: i32, value: i32) -> Op {
        Op::Append { key, value }
    }

    fn read(key: i32, list: &[i32]) -> Op {
        Op::Read { key, list: list.to_vec() }
    }

    fn kinds(history: &[(bool, Vec<Op>)], finals: &[(i32, &[i32])]) -> Vec<Kind> {
        let history: Vec<Done> =
            history.iter().map(|(committed, ops)| Done { ops: ops.clone(), committed: *committed }).collect();
        let finals = finals.iter().map(|(key, list)| (*key, list.to_vec())).collect();
        let mut kinds: Vec<Kind> =
            judge(&history, &finals, Level::Serializable).into_iter().map(|anomaly| anomaly.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    #[test]
    fn a_serial_history_is_sound() {
        let history = [
            (true, vec![read(1, &[]), append(1, 1), read(1, &[1])]),
            (false, vec![append(1, 2)]),
            (true, vec![append(1, 3), append(1, 4), append(2, 5)]),
            (true, vec![read(1, &[1, 3, 4]), read(2, &[5]), read(3, &[])]),
        ];
        assert_eq!(kinds(&history, &[(1, &[1, 3, 4]), (2, &[5])]), []);
    }

    #[test]
    fn each_anomaly_is_seen() {
        let g0 = [(true, vec![append(1, 1), append(2, 2)]), (true, vec![append(1, 3), append(2, 4)])];
        assert_eq!(kinds(&g0, &[(1, &[1, 3]), (2, &[4, 2])]), [Kind::G0]);
        let g1a = [(false, vec![append(1, 1)]), (true, vec![read(1, &[1])])];
        assert_eq!(kinds(&g1a, &[(1, &[])]), [Kind::G1a, Kind::Order]);
        let g1b = [(true, vec![append(1, 1), append(1, 2)]), (true, vec![read(1, &[1])])];
        let seen = kinds(&g1b, &[(1, &[1, 2])]);
        assert!(seen.contains(&Kind::G1b), "{seen:?}");
        let g1c = [(true, vec![append(1, 1), read(2, &[2])]), (true, vec![append(2, 2), read(1, &[1])])];
        assert_eq!(kinds(&g1c, &[(1, &[1]), (2, &[2])]), [Kind::G1c]);
        let lost = [(true, vec![append(1, 1)]), (true, vec![append(1, 2)])];
        assert_eq!(kinds(&lost, &[(1, &[2])]), [Kind::Lost]);
        assert!(kinds(&lost, &[(1, &[1, 2, 1])]).contains(&Kind::Lost));
        let internal = [(true, vec![append(1, 1), read(1, &[])])];
        assert_eq!(kinds(&internal, &[(1, &[1])]), [Kind::Internal]);
        let unrepeatable = [(true, vec![read(1, &[]), read(1, &[1])]), (true, vec![append(1, 1)])];
        assert!(kinds(&unrepeatable, &[(1, &[1])]).contains(&Kind::Internal));
        let order = [(true, vec![append(1, 1)]), (true, vec![append(1, 2)]), (true, vec![read(1, &[2, 1])])];
        assert!(kinds(&order, &[(1, &[1, 2])]).contains(&Kind::Order));
        // A lost update: both have read the list as it was, and both appended.
        let single = [(true, vec![read(1, &[]), append(1, 1)]), (true, vec![read(1, &[]), append(1, 2)])];
        assert_eq!(kinds(&single, &[(1, &[1, 2])]), [Kind::NonAdjacent]);
        let skewed_read =
            [(true, vec![append(1, 1), append(2, 2)]), (true, vec![read(1, &[]), read(2, &[2])])];
        assert_eq!(kinds(&skewed_read, &[(1, &[1]), (2, &[2])]), [Kind::NonAdjacent]);
        let skewed_write =
            [(true, vec![read(1, &[]), append(2, 1)]), (true, vec![read(2, &[]), append(1, 2)])];
        assert_eq!(kinds(&skewed_write, &[(1, &[2]), (2, &[1])]), [Kind::G2]);
    }

    #[test]
    fn levels_forbid_more_and_more() {
        let skew = [(true, vec![read(1, &[]), append(2, 1)]), (true, vec![read(2, &[]), append(1, 2)])];
        let history: Vec<Done> =
            skew.iter().map(|(c, ops)| Done { ops: ops.clone(), committed: *c }).collect();
        let finals = BTreeMap::from([(1, vec![2]), (2, vec![1])]);
        assert!(judge(&history, &finals, Level::RepeatableRead).is_empty());
        assert_eq!(judge(&history, &finals, Level::Serializable).len(), 1);
    }
}
