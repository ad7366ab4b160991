//! Join order: the cheapest bushy tree over a block of joins and filters.
//!
//! A block is a maximal tree of joins and filters. Its leaves are planned first; conjuncts of inner
//! joins and filters become edges, equalities of columns become equivalence classes (so `a = b AND b = c`
//! also joins a to c), and every other join keeps its two sides: its right side is joined first within
//! itself, and any set of leaves is only built if each such join is wholly inside, wholly outside, or
//! being built. That is stricter than the conflict rules of Moerkotte, Fender & Eich (SIGMOD 2013) and
//! loses only reorderings of outer joins among themselves.
//!
//! Up to [`EXACT`] leaves every split of every connected set is tried (Vance & Maier's DPsub);
//! beyond, the pair with the smallest result is joined again and again (GOO).

use std::collections::HashMap;

use expr::{ColumnId, Expr};
use types::{Error, Result};

use super::build::{Built, Want, add_columns};
use super::join::{Candidate, Step};
use super::lower::Lowering;
use crate::cost::{Key, Profile};
use crate::logical::{Join, JoinKind, LogicalPlan, Scan};

/// Exact enumeration up to this many leaves.
const EXACT: usize = 12;
/// Sets of leaves are bits of a word.
const MOST_LEAVES: usize = 64;

pub(super) type Set = u64;

/// One input of the block.
pub(super) struct Leaf<'p> {
    pub plan: &'p LogicalPlan,
    /// Conjuncts over this leaf alone.
    pub filter: Vec<Expr>,
    /// What the block reads of it.
    pub columns: Vec<ColumnId>,
    /// Taken when its node is built.
    pub built: Option<Built>,
    pub rows: f64,
    pub cost: f64,
    pub startup: f64,
    pub width: f64,
    /// The table, when it can be looked up by key.
    pub scan: Option<&'p Scan>,
    /// What is known of its table before the filter.
    pub base: Option<Profile>,
}

/// A join that is not inner.
pub(super) struct Outer<'p> {
    pub join: &'p Join,
    pub kind: JoinKind,
    pub on: Vec<Expr>,
    /// Leaves of its left side that must be there before it, all leaves of both sides.
    pub left_needed: Set,
    pub left: Set,
    pub right: Set,
}

/// A conjunct of an inner join or filter over several leaves.
pub(super) struct Edge {
    pub expr: Expr,
    pub leaves: Set,
    /// What the filters already do of its work: those an OR implies for each leaf.
    pub done: f64,
}

/// Columns known to be equal.
pub(super) struct Class {
    pub columns: Vec<(ColumnId, usize)>,
    pub leaves: Set,
}

/// The block as a graph.
pub(super) struct Block<'p> {
    pub leaves: Vec<Leaf<'p>>,
    pub outers: Vec<Outer<'p>>,
    pub edges: Vec<Edge>,
    pub classes: Vec<Class>,
    /// Conjuncts that read no leaf.
    pub constants: Vec<Expr>,
    /// Leaf of each column.
    pub owner: HashMap<ColumnId, usize>,
    /// Marks: the outer join that makes them.
    pub marks: HashMap<ColumnId, usize>,
    /// What is known of all leaves' columns; its rows mean nothing.
    pub profile: Profile,
    pub keys: Vec<(Key, usize)>,
    /// What the parent reads.
    pub wanted: Vec<ColumnId>,
}

struct Conjunct {
    expr: Expr,
    /// The joins below it, as positions in `outers`.
    below: Vec<usize>,
    /// Whether all leaves here are of the same region.
    region: Set,
}

impl Lowering<'_> {
    /// The cheapest plan for a tree of joins under `predicate`.
    pub(super) fn join_block(
        &mut self,
        plan: &LogicalPlan,
        predicate: &[Expr],
        want: &Want<'_>,
    ) -> Result<Built> {
        if let LogicalPlan::Join(join) = plan
            && join.dependent
        {
            let mut needed = want.columns.to_vec();
            add_columns(predicate, &mut needed);
            self.add_outer_columns(predicate, &mut needed);
            let built = self.dependent_join(join, &needed)?;
            return self.filter_on(built, predicate);
        }
        let mut block = self.block(plan, predicate, want)?;
        self.plan_leaves(&mut block)?;
        let all: Set = full(block.leaves.len());
        let table = self.enumerate(&block)?;
        let built = self.construct(&mut block, &table, all)?;
        let constants = std::mem::take(&mut block.constants);
        self.filter_on(built, &constants)
    }

    fn block<'p>(&mut self, plan: &'p LogicalPlan, predicate: &[Expr], want: &Want<'_>) -> Result<Block<'p>> {
        let mut block = Block {
            leaves: Vec::new(),
            outers: Vec::new(),
            edges: Vec::new(),
            classes: Vec::new(),
            constants: Vec::new(),
            owner: HashMap::new(),
            marks: HashMap::new(),
            profile: Profile::default(),
            keys: Vec::new(),
            wanted: want.columns.to_vec(),
        };
        let mut conjuncts = Vec::new();
        let (_, region) = flatten(plan, &mut block, &mut conjuncts)?;
        let below: Vec<usize> = (0..block.outers.len()).collect();
        for expr in predicate {
            conjuncts.push(Conjunct { expr: expr.clone(), below: below.clone(), region });
        }
        // What each outer join reads of its left side, joins nested there included.
        for position in 0..block.outers.len() {
            let outer = &block.outers[position];
            let (left, right) = (outer.left, outer.right);
            let mut needed = 0;
            for expr in outer.on.clone() {
                needed |= self.leaves_of(&expr, &block);
            }
            let nested: Vec<usize> = (0..position)
                .filter(|&i| (block.outers[i].left | block.outers[i].right) & !left == 0)
                .collect();
            needed = closed(needed, &nested, &block) & left;
            if needed == 0 || block.outers[position].kind == JoinKind::Full {
                needed = left;
            }
            // Leaves that enclosing ids name stay out; the right side is always whole.
            debug_assert!(left & right == 0);
            block.outers[position].left_needed = needed;
        }
        let mut classes = UnionFind::default();
        for conjunct in conjuncts {
            let leaves = self.leaves_of(&conjunct.expr, &block);
            if leaves == 0 {
                block.constants.push(conjunct.expr);
                continue;
            }
            let closed = closed(leaves, &conjunct.below, &block);
            if closed.count_ones() == 1 {
                let leaf = closed.trailing_zeros() as usize;
                block.leaves[leaf].filter.push(conjunct.expr);
                continue;
            }
            if closed & !conjunct.region == 0
                && let Some((a, b)) = equal_columns(&conjunct.expr)
                && let (Some(&left), Some(&right)) = (block.owner.get(&a), block.owner.get(&b))
                && left != right
            {
                classes.union((a, left), (b, right));
                continue;
            }
            block.edges.push(Edge { expr: conjunct.expr, leaves: closed, done: 1.0 });
        }
        block.classes = classes.classes();
        // Two columns of one leaf in a class are equal without a condition of their own.
        for class in &block.classes {
            for pair in class.columns.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                let first = class.columns.iter().find(|(_, leaf)| *leaf == b.1).copied().unwrap_or(a);
                if first == b {
                    continue;
                }
                let typed = |id: ColumnId| Expr::column(id, self.columns.entry(id).data_type);
                if let Some(equal) = Expr::equality(typed(first.0), typed(b.0))
                    && !block.leaves[b.1].filter.contains(&equal)
                {
                    block.leaves[b.1].filter.push(equal);
                }
            }
        }
        // What the block reads of each leaf.
        let mut needed = block.wanted.clone();
        let mut exprs: Vec<&Expr> = block.edges.iter().map(|edge| &edge.expr).collect();
        exprs.extend(block.outers.iter().flat_map(|outer| &outer.on));
        exprs.extend(&block.constants);
        add_columns(exprs.iter().copied(), &mut needed);
        self.add_outer_columns(exprs, &mut needed);
        needed.extend(block.classes.iter().flat_map(|class| class.columns.iter().map(|(id, _)| *id)));
        for (&column, &leaf) in &block.owner {
            if needed.contains(&column) {
                block.leaves[leaf].columns.push(column);
            }
        }
        for leaf in &mut block.leaves {
            leaf.columns.sort();
        }
        Ok(block)
    }

    /// The leaves an expression reads, subqueries inside it included; a mark counts as its whole join.
    fn leaves_of(&self, expr: &Expr, block: &Block<'_>) -> Set {
        let mut leaves = 0;
        for column in crate::rewrite::free::expr_columns(expr, self.subqueries) {
            if let Some(leaf) = block.owner.get(&column) {
                leaves |= 1 << leaf;
            } else if let Some(outer) = block.marks.get(&column) {
                leaves |= block.outers[*outer].right | block.outers[*outer].left_needed;
            }
        }
        leaves
    }

    fn plan_leaves(&mut self, block: &mut Block<'_>) -> Result<()> {
        for index in 0..block.leaves.len() {
            let leaf = &block.leaves[index];
            let want = Want::columns(&leaf.columns);
            let built = match leaf.plan {
                LogicalPlan::Scan(scan) => self.scan(scan, &leaf.filter, &want)?,
                plan => {
                    let mut needed = leaf.columns.clone();
                    add_columns(&leaf.filter, &mut needed);
                    self.add_outer_columns(&leaf.filter, &mut needed);
                    let filtered;
                    let plan = if leaf.filter.is_empty() {
                        plan
                    } else {
                        filtered = LogicalPlan::Filter {
                            input: Box::new(plan.clone()),
                            predicate: leaf.filter.clone(),
                        };
                        &filtered
                    };
                    self.lower(plan, &Want::columns(&needed))?
                }
            };
            let base = match leaf.plan {
                LogicalPlan::Scan(scan) => Some(self.table_profile(scan)),
                _ => None,
            };
            for (id, column) in &built.profile.columns {
                if block.owner.get(id) == Some(&index) {
                    block.profile.columns.insert(*id, column.clone());
                }
            }
            block.profile.keys.extend(built.profile.keys.iter().cloned());
            block.keys.extend(built.profile.keys.iter().map(|key| (key.clone(), index)));
            if let Some(base) = &base {
                for edge in block.edges.iter_mut().filter(|edge| edge.leaves & (1 << index) != 0) {
                    let of_leaf = |id: ColumnId| block.owner.get(&id) == Some(&index);
                    if let Some(part) = crate::rewrite::simplify::implied(&edge.expr, &of_leaf)
                        && block.leaves[index].filter.contains(&part)
                    {
                        edge.done *= crate::cost::selectivity::selectivity(&part, base);
                    }
                }
            }
            let width = built.profile.width(&block.leaves[index].columns);
            let leaf = &mut block.leaves[index];
            leaf.rows = built.rows();
            leaf.cost = built.total_cost();
            leaf.startup = built.startup_cost();
            leaf.width = width;
            leaf.base = base;
            leaf.built = Some(built);
        }
        Ok(())
    }

    /// Candidates for every set of leaves that was reached, the whole included.
    fn enumerate(&self, block: &Block<'_>) -> Result<HashMap<Set, Candidate>> {
        let count = block.leaves.len();
        let all = full(count);
        let mut table: HashMap<Set, Candidate> = HashMap::new();
        for (index, leaf) in block.leaves.iter().enumerate() {
            table.insert(1 << index, Candidate::leaf(index, leaf));
        }
        if count <= EXACT {
            for cross in [false, true] {
                self.exhaustive(block, all, cross, &mut table);
                if table.contains_key(&all) {
                    return Ok(table);
                }
            }
        } else {
            self.greedy(block, all, &mut table);
            if table.contains_key(&all) {
                return Ok(table);
            }
        }
        if block.outers.iter().any(|outer| outer.kind == JoinKind::Full) {
            // PostgreSQL's words.
            return Err(Error::new(
                types::SqlState::FEATURE_NOT_SUPPORTED,
                "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions",
            ));
        }
        Err(Error::internal("no valid join order"))
    }

    fn exhaustive(&self, block: &Block<'_>, all: Set, cross: bool, table: &mut HashMap<Set, Candidate>) {
        let mut best: Vec<Option<Candidate>> = vec![None; all as usize + 1];
        for (set, candidate) in table.iter() {
            if set.count_ones() == 1 {
                best[*set as usize] = Some(candidate.clone());
            }
        }
        for set in 1..=all {
            if set.count_ones() < 2 || !self.is_valid(block, set) {
                continue;
            }
            let mut winner: Option<Candidate> = None;
            // Each split once: the part with the lowest leaf is the first.
            let lowest = set & set.wrapping_neg();
            let mut part = (set - 1) & set;
            while part > 0 {
                if part & lowest != 0 {
                    let rest = set & !part;
                    if let (Some(a), Some(b)) = (&best[part as usize], &best[rest as usize]) {
                        let rows = winner.as_ref().map(|w| w.rows);
                        if let Some(found) = self.join_candidate(block, (part, a), (rest, b), cross, rows)
                            && winner.as_ref().is_none_or(|w| found.cost < w.cost)
                        {
                            winner = Some(found);
                        }
                    }
                }
                part = (part - 1) & set;
            }
            best[set as usize] = winner;
        }
        for (set, candidate) in best.into_iter().enumerate() {
            if let Some(candidate) = candidate {
                table.insert(set as Set, candidate);
            }
        }
    }

    /// Greedy operator ordering (Fegaras 1998): again and again the join with the fewest rows.
    fn greedy(&self, block: &Block<'_>, all: Set, table: &mut HashMap<Set, Candidate>) {
        let mut parts: Vec<Set> = (0..block.leaves.len()).map(|leaf| 1 << leaf).collect();
        while parts.len() > 1 {
            let mut winner: Option<(usize, usize, Candidate)> = None;
            for cross in [false, true] {
                for i in 0..parts.len() {
                    for j in i + 1..parts.len() {
                        let union = parts[i] | parts[j];
                        let (Some(a), Some(b)) = (table.get(&parts[i]), table.get(&parts[j])) else {
                            continue;
                        };
                        if !self.is_valid(block, union) {
                            continue;
                        }
                        if let Some(found) =
                            self.join_candidate(block, (parts[i], a), (parts[j], b), cross, None)
                            && winner
                                .as_ref()
                                .is_none_or(|(_, _, w)| (found.rows, found.cost) < (w.rows, w.cost))
                        {
                            winner = Some((i, j, found));
                        }
                    }
                }
                if winner.is_some() {
                    break;
                }
            }
            let Some((i, j, candidate)) = winner else { return };
            let union = parts[i] | parts[j];
            parts.remove(j);
            parts[i] = union;
            table.insert(union, candidate);
        }
        debug_assert!(parts == [all]);
    }

    /// Whether each outer join is wholly inside the set, wholly outside, or has its right side as the set.
    fn is_valid(&self, block: &Block<'_>, set: Set) -> bool {
        block.outers.iter().all(|outer| {
            let inside = set & outer.right;
            let both_sides = outer.kind == JoinKind::Full;
            if inside == 0 {
                return !both_sides || set & outer.left == 0 || set & !outer.left == 0;
            }
            if set & !outer.right == 0 {
                return true;
            }
            outer.right & !set == 0 && outer.left_needed & !set == 0
        })
    }

    /// Builds the nodes of the chosen tree.
    fn construct(
        &mut self,
        block: &mut Block<'_>,
        table: &HashMap<Set, Candidate>,
        set: Set,
    ) -> Result<Built> {
        let candidate = table.get(&set).ok_or_else(|| Error::internal("a join has no candidate"))?;
        match &candidate.step {
            Step::Leaf(leaf) => {
                block.leaves[*leaf].built.take().ok_or_else(|| Error::internal("a leaf is joined twice"))
            }
            Step::Join { left, right, method } => {
                let left_built = self.construct(block, table, *left)?;
                let right_built = match method {
                    super::join::Method::Index { .. } => None,
                    _ => Some(self.construct(block, table, *right)?),
                };
                self.join_node(block, candidate, (*left, left_built), (*right, right_built), *method)
            }
        }
    }
}

pub(super) fn full(leaves: usize) -> Set {
    if leaves >= MOST_LEAVES { Set::MAX } else { (1 << leaves) - 1 }
}

/// Grown by the joins whose null-extended columns are read: a predicate over them comes after the join.
fn closed(leaves: Set, joins: &[usize], block: &Block<'_>) -> Set {
    let mut leaves = leaves;
    loop {
        let before = leaves;
        for &join in joins {
            let outer = &block.outers[join];
            let whole = outer.right | outer.left_needed;
            if leaves & outer.right != 0 || (outer.kind == JoinKind::Full && leaves & outer.left != 0) {
                leaves |= whole;
            }
        }
        if leaves == before {
            return leaves;
        }
    }
}

/// Collects leaves, joins and conjuncts. Answers all leaves below, and those of them whose rows are
/// neither null-extended nor hidden here.
fn flatten<'p>(
    plan: &'p LogicalPlan,
    block: &mut Block<'p>,
    conjuncts: &mut Vec<Conjunct>,
) -> Result<(Set, Set)> {
    match plan {
        LogicalPlan::Filter { input, predicate }
            if matches!(**input, LogicalPlan::Join(_) | LogicalPlan::Filter { .. }) =>
        {
            let first = block.outers.len();
            let (all, region) = flatten(input, block, conjuncts)?;
            let below: Vec<usize> = (first..block.outers.len()).collect();
            for expr in predicate {
                conjuncts.push(Conjunct { expr: expr.clone(), below: below.clone(), region });
            }
            Ok((all, region))
        }
        LogicalPlan::Join(join) if !join.dependent && block.leaves.len() + 2 < MOST_LEAVES => {
            let first = block.outers.len();
            let (a, b) = match join.kind {
                JoinKind::Right => (&join.right, &join.left),
                _ => (&join.left, &join.right),
            };
            let (left, left_region) = flatten(a, block, conjuncts)?;
            let (right, right_region) = flatten(b, block, conjuncts)?;
            let all = left | right;
            if join.kind == JoinKind::Inner {
                let region = left_region | right_region;
                let below: Vec<usize> = (first..block.outers.len()).collect();
                for expr in &join.on {
                    conjuncts.push(Conjunct { expr: expr.clone(), below: below.clone(), region });
                }
                return Ok((all, region));
            }
            let kind = if join.kind == JoinKind::Right { JoinKind::Left } else { join.kind };
            let position = block.outers.len();
            block.outers.push(Outer { join, kind, on: join.on.clone(), left_needed: left, left, right });
            if let Some(mark) = join.mark {
                block.marks.insert(mark, position);
            }
            let region = if kind == JoinKind::Full { 0 } else { left_region };
            Ok((all, region))
        }
        _ => {
            let index = block.leaves.len();
            if index >= MOST_LEAVES {
                return Err(Error::not_supported("a query of more than 64 joined relations"));
            }
            // A filtered scan is one leaf, its filter with it.
            let (plan, filter) = match plan {
                LogicalPlan::Filter { input, predicate } => (&**input, predicate.clone()),
                other => (other, Vec::new()),
            };
            for column in plan.output() {
                block.owner.insert(column, index);
            }
            let scan = match plan {
                LogicalPlan::Scan(scan) => Some(scan),
                _ => None,
            };
            block.leaves.push(Leaf {
                plan,
                filter,
                columns: Vec::new(),
                built: None,
                rows: 1.0,
                cost: 0.0,
                startup: 0.0,
                width: 0.0,
                scan,
                base: None,
            });
            Ok((1 << index, 1 << index))
        }
    }
}

/// `a = b` of two columns of one type by that type's own equality.
fn equal_columns(expr: &Expr) -> Option<(ColumnId, ColumnId)> {
    let (operator, left, right) = expr.as_operator()?;
    let (a, b) = (left.as_column()?, right.as_column()?);
    let same = left.data_type().oid == right.data_type().oid;
    (operator.is_equality() && operator.hashable && same).then_some((a, b))
}

#[derive(Default)]
struct UnionFind {
    classes: Vec<Vec<(ColumnId, usize)>>,
}

impl UnionFind {
    fn find(&self, column: ColumnId) -> Option<usize> {
        self.classes.iter().position(|class| class.iter().any(|(id, _)| *id == column))
    }

    fn union(&mut self, a: (ColumnId, usize), b: (ColumnId, usize)) {
        match (self.find(a.0), self.find(b.0)) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let moved = std::mem::take(&mut self.classes[y]);
                self.classes[x].extend(moved);
                self.classes.remove(y);
            }
            (Some(x), None) => self.classes[x].push(b),
            (None, Some(y)) => self.classes[y].push(a),
            (None, None) => self.classes.push(vec![a, b]),
        }
    }

    fn classes(self) -> Vec<Class> {
        self.classes
            .into_iter()
            .map(|mut columns| {
                columns.sort();
                let leaves = columns.iter().map(|(_, leaf)| 1 << leaf).fold(0, |a, b: Set| a | b);
                Class { columns, leaves }
            })
            .collect()
    }
}
