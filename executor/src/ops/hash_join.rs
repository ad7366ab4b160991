//! Hash join: the right side is built into a table, the left side probes it, a batch at a time.
//!
//! The table numbers the distinct keys; build rows of one key form a chain, in input order. Candidate
//! pairs are made up to a batch at a time, so that no join overwhelms its parent; a residual condition
//! is evaluated over them. Columns nobody asks for are never copied.
//!
//! When the build side exceeds `work_mem`, both sides go to partitions on disk by their keys' hash, which
//! are joined one after the other (after Grace). Joins that must know of every NULL on the build side
//! (NOT IN, three-valued marks) do not spill.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{HashJoin as HashJoinOp, JoinKind, Node, Op};
use types::hash::{hash_vector, vectors_equal_at};
use types::{BATCH_SIZE, Batch, Data, DataType, Error, Physical, Result, Validity, Vector, VectorBuilder};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::aggregate::{MAX_LEVEL, PARTITIONS, partition_of};
use crate::ops::group_table::{GroupTable, NO_GROUP};
use crate::ops::sub_plan::more_than_one_row;
use crate::row_buffer::RowBuffer;
use crate::spill::{RunReader, RunWriter};

/// The end of a chain.
const END: u32 = u32::MAX;

pub struct HashJoin {
    node: Arc<Node>,
    left_types: Vec<DataType>,
    right_types: Vec<DataType>,
    /// Positions of left ++ right that the residual condition reads.
    residual_reads: Vec<bool>,
    memory: Reservation,
    left: Option<Source>,
    right: Option<Source>,
    level: u32,
    pending: Vec<(RunReader, RunReader, u32)>,
    build: Option<Build>,
    probe: Option<Probe>,
    /// Next build row to look at, once the left side is exhausted.
    tail: usize,
}

enum Source {
    Operator(BoxOperator),
    Run(RunReader),
}

impl Source {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        match self {
            Source::Operator(operator) => operator.next(cx),
            Source::Run(run) => run.read(),
        }
    }
}

/// The finished build side.
struct Build {
    /// The rows, and behind them one row of NULLs.
    rows: Batch,
    len: usize,
    table: GroupTable,
    /// Per key: its first row. Empty when key `i` is row `i` and no other.
    heads: Vec<u32>,
    /// Per row: the next of its key.
    next: Vec<u32>,
    /// Per row: has it met a left row. Empty unless asked for.
    matched: Vec<bool>,
    /// Rows whose first key is NULL (kept for null-aware joins).
    null_first: Vec<u32>,
    /// The keys of all rows, for null-aware joins that look beyond the first.
    keys: Vec<Arc<Vector>>,
}

impl Build {
    #[inline]
    fn head(&self, group: u32) -> u32 {
        if group == NO_GROUP {
            END
        } else if self.heads.is_empty() {
            group
        } else {
            self.heads[group as usize]
        }
    }

    #[inline]
    fn after(&self, row: u32) -> u32 {
        if self.heads.is_empty() { END } else { self.next[row as usize] }
    }
}

/// A left batch being joined.
struct Probe {
    batch: Batch,
    groups: Vec<u32>,
    row: usize,
    /// The next build row for `row`; `None`: not begun.
    chain: Option<u32>,
    /// Per row: has it met a build row (for outer and semi joins with a residual).
    matched: Vec<bool>,
    keys: Vec<Arc<Vector>>,
}

impl HashJoin {
    pub fn new(
        node: &Arc<Node>,
        left: BoxOperator,
        right: BoxOperator,
        cx: &ExecContext,
    ) -> Result<HashJoin> {
        let op = join(node)?;
        let types = |node: &Node| node.columns.iter().map(|column| column.data_type).collect::<Vec<_>>();
        let (left_types, right_types) = (types(&op.left), types(&op.right));
        let residual_reads = inputs_read(&op.residual, left_types.len() + right_types.len());
        Ok(HashJoin {
            node: node.clone(),
            left_types,
            right_types,
            residual_reads,
            memory: cx.reserve(),
            left: Some(Source::Operator(left)),
            right: Some(Source::Operator(right)),
            level: 0,
            pending: Vec::new(),
            build: None,
            probe: None,
            tail: 0,
        })
    }
}

fn join(node: &Node) -> Result<&HashJoinOp> {
    match &node.op {
        Op::HashJoin(op) => Ok(op),
        _ => Err(Error::internal("not a hash join")),
    }
}

/// Which of `width` input columns `exprs` read.
pub(crate) fn inputs_read(exprs: &[Expr], width: usize) -> Vec<bool> {
    let mut reads = vec![false; width];
    for expr in exprs {
        let mut subquery = false;
        expr::walk::visit(expr, &mut |expr| match expr {
            Expr::Input { position, .. } => {
                if let Some(read) = reads.get_mut(*position) {
                    *read = true;
                }
            }
            // Its arguments are kept with the sub-plan.
            Expr::Subquery(_) => subquery = true,
            _ => {}
        });
        if subquery {
            reads.fill(true);
        }
    }
    reads
}

/// Left rows beside right rows; columns that are not `wanted` hold nothing.
pub(crate) fn pair(
    left: &Batch,
    left_rows: &[u32],
    right: &Batch,
    right_rows: &[u32],
    wanted: &[bool],
) -> Batch {
    let placeholder = Arc::new(Vector::nulls(Physical::Bool, left_rows.len()));
    let width = left.columns().len();
    let whole =
        left_rows.len() == left.len() && left_rows.iter().enumerate().all(|(i, &row)| i == row as usize);
    let columns = left
        .columns()
        .iter()
        .enumerate()
        .map(|(position, column)| match wanted.get(position) {
            Some(false) => placeholder.clone(),
            _ if whole => column.clone(),
            _ => Arc::new(column.gather(left_rows)),
        })
        .chain(right.columns().iter().enumerate().map(
            |(position, column)| match wanted.get(width + position) {
                Some(false) => placeholder.clone(),
                _ => Arc::new(column.gather(right_rows)),
            },
        ))
        .collect();
    Batch::new(columns, left_rows.len())
}

/// A batch of one row of NULLs.
pub(crate) fn null_row(types: &[DataType]) -> Batch {
    Batch::new(types.iter().map(|t| Arc::new(Vector::nulls(t.physical, 1))).collect(), 1)
}

fn needs_matched_right(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Right | JoinKind::Full | JoinKind::RightSemi | JoinKind::RightAnti)
}

fn is_null_aware(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::NullAwareAnti | JoinKind::Mark)
}

impl HashJoin {
    /// Reads the right side. Returns `None` when it did not fit and went to disk with the left side.
    fn build(&mut self, op: &HashJoinOp, cx: &ExecContext) -> Result<Option<Build>> {
        let Some(mut source) = self.right.take() else {
            return Err(Error::internal("nothing to build from"));
        };
        let key_types: Vec<DataType> = op.keys.iter().map(|(_, right)| right.data_type()).collect();
        let right_keys: Vec<&Expr> = op.keys.iter().map(|(_, right)| right).collect();
        let mut rows = RowBuffer::new(&self.right_types);
        let mut key_rows = RowBuffer::new(&key_types);
        let keep_keys = is_null_aware(op.kind);
        let mut table = GroupTable::without_keys(&key_types);
        let mut row_groups: Vec<u32> = Vec::new();
        let mut null_first = Vec::new();
        let mut groups = Vec::new();
        while let Some(batch) = source.next(cx)? {
            cx.check_interrupt()?;
            let keys = right_keys.iter().map(|key| cx.eval(key, &batch)).collect::<Result<Vec<_>>>()?;
            let base = rows.len();
            rows.append(&batch);
            if keep_keys {
                if keys.first().is_some_and(|key| key.has_nulls()) {
                    let key = &keys[0];
                    null_first
                        .extend((0..batch.len()).filter(|&r| key.is_null(r)).map(|r| (base + r) as u32));
                }
                if op.keys.len() > 1 || !op.residual.is_empty() {
                    key_rows.append(&Batch::new(keys.clone(), batch.len()));
                }
            }
            if keys.iter().any(|key| key.has_nulls()) {
                let valid: Vec<u32> = (0..batch.len() as u32)
                    .filter(|&row| keys.iter().all(|key| key.is_valid(row as usize)))
                    .collect();
                let keys: Vec<Arc<Vector>> = keys.iter().map(|key| Arc::new(key.gather(&valid))).collect();
                table.insert(&keys, valid.len(), &mut groups, None)?;
                row_groups.resize(base + batch.len(), NO_GROUP);
                for (&row, &group) in valid.iter().zip(&groups) {
                    row_groups[base + row as usize] = group;
                }
            } else {
                table.insert(&keys, batch.len(), &mut groups, None)?;
                row_groups.extend_from_slice(&groups);
            }
            self.memory.set(rows.size_bytes() + table.size_bytes() + row_groups.len() * 8)?;
            if self.memory.over_budget() && !keep_keys && self.level < MAX_LEVEL {
                self.partition(op, rows.finish(), source, cx)?;
                self.memory.set(0)?;
                return Ok(None);
            }
        }
        let len = rows.len();
        rows.append(&null_row(&self.right_types));
        let unique = table.len() == len;
        let (mut heads, mut next) = (Vec::new(), Vec::new());
        if !unique {
            heads.resize(table.len(), END);
            next = row_groups;
            for row in (0..len).rev() {
                let group = next[row];
                if group != NO_GROUP {
                    next[row] = std::mem::replace(&mut heads[group as usize], row as u32);
                }
            }
            // Every key has a row, so heads is empty only when there are no keys at all.
            if heads.is_empty() {
                heads.push(END);
            }
        }
        let matched = if needs_matched_right(op.kind) { vec![false; len] } else { Vec::new() };
        let keys = key_rows.finish().into_columns();
        Ok(Some(Build { rows: rows.finish(), len, table, heads, next, matched, null_first, keys }))
    }

    /// Sends both sides to disk: the build rows read so far and the rest of them, then all left rows.
    fn partition(&mut self, op: &HashJoinOp, read: Batch, mut rest: Source, cx: &ExecContext) -> Result<()> {
        let writers = |types: &[DataType]| -> Result<Vec<RunWriter>> {
            (0..PARTITIONS).map(|_| RunWriter::new(types, cx)).collect()
        };
        let level = self.level;
        let distribute = |batch: &Batch, keys: Vec<Arc<Vector>>, writers: &mut [RunWriter]| -> Result<()> {
            let mut hashes = vec![0; batch.len()];
            keys.iter().for_each(|key| hash_vector(key, &mut hashes));
            for (row, &hash) in hashes.iter().enumerate() {
                writers[partition_of(hash, level)].write_row(batch, row)?;
            }
            Ok(())
        };
        let mut right = writers(&self.right_types)?;
        let right_keys = |batch: &Batch| -> Result<Vec<Arc<Vector>>> {
            op.keys.iter().map(|(_, key)| cx.eval(key, batch)).collect()
        };
        distribute(&read, right_keys(&read)?, &mut right)?;
        drop(read);
        while let Some(batch) = rest.next(cx)? {
            cx.check_interrupt()?;
            distribute(&batch, right_keys(&batch)?, &mut right)?;
        }
        let mut left = writers(&self.left_types)?;
        if let Some(mut source) = self.left.take() {
            while let Some(batch) = source.next(cx)? {
                cx.check_interrupt()?;
                let keys = op.keys.iter().map(|(key, _)| cx.eval(key, &batch)).collect::<Result<Vec<_>>>()?;
                distribute(&batch, keys, &mut left)?;
            }
        }
        for (left, right) in left.into_iter().zip(right) {
            let (left, right) = (left.finish()?, right.finish()?);
            if cx.is_instrumented() {
                let bytes = left.size_bytes() + right.size_bytes();
                cx.update_stats(self.node.id, |stats| stats.spilled_bytes += bytes);
            }
            if left.rows_left() > 0 || (right.rows_left() > 0 && needs_matched_right(op.kind)) {
                self.pending.push((left, right, level + 1));
            }
        }
        Ok(())
    }

    /// True when an empty build side means that nothing comes out.
    fn ends_without_build(kind: JoinKind) -> bool {
        matches!(
            kind,
            JoinKind::Inner | JoinKind::Semi | JoinKind::Right | JoinKind::RightSemi | JoinKind::RightAnti
        )
    }

    fn begin_probe(&mut self, op: &HashJoinOp, batch: Batch, cx: &ExecContext) -> Result<()> {
        let Some(build) = &mut self.build else { return Err(Error::internal("probe before build")) };
        let keys = op.keys.iter().map(|(left, _)| cx.eval(left, &batch)).collect::<Result<Vec<_>>>()?;
        let mut groups = Vec::with_capacity(batch.len());
        build.table.find(&keys, batch.len(), &mut groups)?;
        let matched = if op.residual.is_empty() { Vec::new() } else { vec![false; batch.len()] };
        self.probe = Some(Probe { batch, groups, row: 0, chain: None, matched, keys });
        Ok(())
    }

    /// The next output of the probe at hand; `None` when it is done (it is then gone).
    fn probe(&mut self, op: &HashJoinOp, cx: &ExecContext) -> Result<Option<Batch>> {
        let (Some(mut probe), Some(mut build)) = (self.probe.take(), self.build.take()) else {
            return Ok(None);
        };
        let out = if op.residual.is_empty() {
            self.probe_plain(op, &mut probe, &mut build, cx)
        } else {
            self.probe_residual(op, &mut probe, &mut build, cx)
        };
        self.build = Some(build);
        if probe.row < probe.batch.len() {
            self.probe = Some(probe);
        }
        out
    }

    fn probe_plain(
        &self,
        op: &HashJoinOp,
        probe: &mut Probe,
        build: &mut Build,
        cx: &ExecContext,
    ) -> Result<Option<Batch>> {
        let rows = probe.batch.len();
        match op.kind {
            JoinKind::Semi | JoinKind::Anti => {
                let wanted = op.kind == JoinKind::Semi;
                let kept: Vec<u32> = (0..rows as u32)
                    .filter(|&row| (probe.groups[row as usize] != NO_GROUP) == wanted)
                    .collect();
                probe.row = rows;
                Ok(self.left_only(op, &probe.batch, &kept))
            }
            JoinKind::NullAwareAnti | JoinKind::Mark => {
                probe.row = rows;
                let matched: Vec<bool> = probe.groups.iter().map(|&group| group != NO_GROUP).collect();
                self.null_aware(op, probe, build, &matched, cx)
            }
            JoinKind::RightSemi | JoinKind::RightAnti => {
                for &group in &probe.groups {
                    let mut row = build.head(group);
                    // A chain is marked as a whole.
                    while row != END && !build.matched[row as usize] {
                        build.matched[row as usize] = true;
                        row = build.after(row);
                    }
                }
                probe.row = rows;
                Ok(None)
            }
            JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Single => {
                let outer = matches!(op.kind, JoinKind::Left | JoinKind::Full | JoinKind::Single);
                let nothing = outer.then_some(build.len as u32);
                let (left_rows, right_rows) = candidates(probe, build, nothing);
                if op.kind == JoinKind::Single && left_rows.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(more_than_one_row());
                }
                if !build.matched.is_empty() {
                    for &row in &right_rows {
                        if let Some(matched) = build.matched.get_mut(row as usize) {
                            *matched = true;
                        }
                    }
                }
                if left_rows.is_empty() {
                    return Ok(None);
                }
                Ok(Some(self.output(op, &probe.batch, &left_rows, &build.rows, &right_rows)))
            }
        }
    }

    fn probe_residual(
        &self,
        op: &HashJoinOp,
        probe: &mut Probe,
        build: &mut Build,
        cx: &ExecContext,
    ) -> Result<Option<Batch>> {
        let emits_pairs = matches!(
            op.kind,
            JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Single
        );
        while probe.row < probe.batch.len() {
            let (mut left_rows, mut right_rows) = candidates(probe, build, None);
            if !left_rows.is_empty() {
                let pairs = pair(&probe.batch, &left_rows, &build.rows, &right_rows, &self.residual_reads);
                if let Some(kept) = cx.filter(&op.residual, &pairs)? {
                    if cx.is_instrumented() {
                        let removed = (left_rows.len() - kept.len()) as u64;
                        cx.update_stats(self.node.id, |stats| stats.rows_removed_by_join_filter += removed);
                    }
                    left_rows = kept.iter().map(|&i| left_rows[i as usize]).collect();
                    right_rows = kept.iter().map(|&i| right_rows[i as usize]).collect();
                }
                for &row in &left_rows {
                    if std::mem::replace(&mut probe.matched[row as usize], true)
                        && op.kind == JoinKind::Single
                    {
                        return Err(more_than_one_row());
                    }
                }
                if !build.matched.is_empty() {
                    right_rows.iter().for_each(|&row| build.matched[row as usize] = true);
                }
            }
            if probe.row == probe.batch.len() {
                // The batch's last pairs are known: who has met nobody?
                match op.kind {
                    JoinKind::Left | JoinKind::Full | JoinKind::Single => {
                        for (row, _) in probe.matched.iter().enumerate().filter(|(_, matched)| !**matched) {
                            left_rows.push(row as u32);
                            right_rows.push(build.len as u32);
                        }
                    }
                    JoinKind::Semi | JoinKind::Anti => {
                        let wanted = op.kind == JoinKind::Semi;
                        let kept: Vec<u32> = (0..probe.batch.len() as u32)
                            .filter(|&row| probe.matched[row as usize] == wanted)
                            .collect();
                        return Ok(self.left_only(op, &probe.batch, &kept));
                    }
                    JoinKind::NullAwareAnti | JoinKind::Mark => {
                        let matched = std::mem::take(&mut probe.matched);
                        return self.null_aware(op, probe, build, &matched, cx);
                    }
                    _ => {}
                }
            }
            if emits_pairs && !left_rows.is_empty() {
                return Ok(Some(self.output(op, &probe.batch, &left_rows, &build.rows, &right_rows)));
            }
            cx.check_interrupt()?;
        }
        Ok(None)
    }

    /// NOT IN and three-valued marks: unmatched rows are unknown where a NULL stood in the way.
    fn null_aware(
        &self,
        op: &HashJoinOp,
        probe: &Probe,
        build: &Build,
        matched: &[bool],
        cx: &ExecContext,
    ) -> Result<Option<Batch>> {
        let rows = probe.batch.len();
        let mut unknown = vec![false; rows];
        let first_key = probe.keys.first();
        let probe_nulls = first_key.is_some_and(|key| key.has_nulls());
        if build.len > 0 && (probe_nulls || !build.null_first.is_empty()) {
            let simple = op.keys.len() == 1 && op.residual.is_empty();
            let everything: Vec<u32> =
                if probe_nulls && !simple { (0..build.len as u32).collect() } else { Vec::new() };
            for row in 0..rows {
                if matched[row] {
                    continue;
                }
                let is_null = first_key.is_some_and(|key| key.is_null(row));
                unknown[row] = if simple {
                    is_null || !build.null_first.is_empty()
                } else {
                    let candidates = if is_null { &everything } else { &build.null_first };
                    self.agrees_otherwise(op, probe, row, build, candidates, cx)?
                };
            }
        }
        if op.kind == JoinKind::NullAwareAnti {
            let kept: Vec<u32> =
                (0..rows as u32).filter(|&row| !matched[row as usize] && !unknown[row as usize]).collect();
            return Ok(self.left_only(op, &probe.batch, &kept));
        }
        let validity = Validity::from_fn(rows, |row| !unknown[row]);
        let mark = Arc::new(Vector::flat(Data::Bool(matched.to_vec()), validity));
        let mut columns = probe.batch.columns().to_vec();
        columns.push(mark);
        Ok(Some(project(op, Batch::new(columns, rows))))
    }

    /// Whether some candidate build row meets left row `row` in all but the first key.
    fn agrees_otherwise(
        &self,
        op: &HashJoinOp,
        probe: &Probe,
        row: usize,
        build: &Build,
        candidates: &[u32],
        cx: &ExecContext,
    ) -> Result<bool> {
        for part in candidates.chunks(BATCH_SIZE) {
            let right_rows: Vec<u32> = part
                .iter()
                .copied()
                .filter(|&other| {
                    (1..op.keys.len()).all(|key| {
                        let (left, right) = (&probe.keys[key], &build.keys[key]);
                        left.is_valid(row)
                            && right.is_valid(other as usize)
                            && vectors_equal_at(left, row, right, other as usize)
                    })
                })
                .collect();
            if right_rows.is_empty() {
                continue;
            }
            if op.residual.is_empty() {
                return Ok(true);
            }
            let left_rows = vec![row as u32; right_rows.len()];
            let pairs = pair(&probe.batch, &left_rows, &build.rows, &right_rows, &self.residual_reads);
            if cx.filter(&op.residual, &pairs)?.is_none_or(|kept| !kept.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn left_only(&self, op: &HashJoinOp, batch: &Batch, rows: &[u32]) -> Option<Batch> {
        if rows.is_empty() {
            return None;
        }
        let batch = project(op, batch.clone());
        Some(if rows.len() == batch.len() { batch } else { batch.gather(rows) })
    }

    fn output(
        &self,
        op: &HashJoinOp,
        left: &Batch,
        left_rows: &[u32],
        right: &Batch,
        right_rows: &[u32],
    ) -> Batch {
        let wanted: Vec<bool> = match &op.projection {
            None => Vec::new(),
            Some(projection) => {
                let mut wanted = vec![false; self.left_types.len() + self.right_types.len()];
                projection.iter().for_each(|&position| wanted[position] = true);
                wanted
            }
        };
        project(op, pair(left, left_rows, right, right_rows, &wanted))
    }

    /// Build rows that the left side has (or has not) met, once it is exhausted.
    fn finish_right(&mut self, op: &HashJoinOp) -> Result<Option<Batch>> {
        let Some(build) = &self.build else { return Ok(None) };
        if build.matched.is_empty() {
            return Ok(None);
        }
        let wanted = op.kind == JoinKind::RightSemi;
        let mut rows = Vec::new();
        while self.tail < build.len && rows.len() < BATCH_SIZE {
            if build.matched[self.tail] == wanted {
                rows.push(self.tail as u32);
            }
            self.tail += 1;
        }
        if rows.is_empty() {
            return Ok(None);
        }
        if matches!(op.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
            return Ok(Some(project(op, build.rows.gather(&rows))));
        }
        let nothing = null_row(&self.left_types);
        let left_rows = vec![0; rows.len()];
        Ok(Some(self.output(op, &nothing, &left_rows, &build.rows, &rows)))
    }
}

/// The columns a join hands over.
fn project(op: &HashJoinOp, batch: Batch) -> Batch {
    match &op.projection {
        None => batch,
        Some(projection) => {
            let columns = projection.iter().map(|&position| batch.column(position).clone()).collect();
            Batch::new(columns, batch.len())
        }
    }
}

/// Up to a batch of pairs whose keys agree, going on where the last call ended. `nothing` is the build
/// row to pair a left row with that has none.
fn candidates(probe: &mut Probe, build: &Build, nothing: Option<u32>) -> (Vec<u32>, Vec<u32>) {
    let rows = probe.groups.len();
    let mut left = Vec::with_capacity(BATCH_SIZE);
    let mut right = Vec::with_capacity(BATCH_SIZE);
    while probe.row < rows {
        let mut chain = match probe.chain.take() {
            Some(chain) => chain,
            None => {
                let head = build.head(probe.groups[probe.row]);
                if head == END
                    && let Some(nothing) = nothing
                {
                    left.push(probe.row as u32);
                    right.push(nothing);
                }
                head
            }
        };
        while chain != END {
            if left.len() >= BATCH_SIZE {
                probe.chain = Some(chain);
                return (left, right);
            }
            left.push(probe.row as u32);
            right.push(chain);
            chain = build.after(chain);
        }
        probe.row += 1;
        if left.len() >= BATCH_SIZE {
            break;
        }
    }
    (left, right)
}

impl Operator for HashJoin {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = join(&node)?;
        loop {
            if self.build.is_none() {
                if self.right.is_none() {
                    let Some((left, right, level)) = self.pending.pop() else { return Ok(None) };
                    self.left = Some(Source::Run(left));
                    self.right = Some(Source::Run(right));
                    self.level = level;
                }
                self.tail = 0;
                let Some(build) = self.build(op, cx)? else { continue };
                if cx.is_instrumented() {
                    let bytes = self.memory.peak_bytes() as u64;
                    cx.update_stats(op.right.id, |stats| stats.memory_bytes = stats.memory_bytes.max(bytes));
                }
                if build.len == 0 && HashJoin::ends_without_build(op.kind) {
                    self.left = None;
                }
                self.build = Some(build);
            }
            while self.probe.is_some() {
                if let Some(batch) = self.probe(op, cx)? {
                    return Ok(Some(batch));
                }
            }
            cx.check_interrupt()?;
            let batch = match &mut self.left {
                Some(left) => left.next(cx)?,
                None => None,
            };
            match batch {
                Some(batch) => self.begin_probe(op, batch, cx)?,
                None => {
                    self.left = None;
                    if let Some(batch) = self.finish_right(op)? {
                        return Ok(Some(batch));
                    }
                    self.build = None;
                    self.memory.set(0)?;
                }
            }
        }
    }
}

/// A boolean column.
pub(crate) fn bools(values: impl Iterator<Item = Option<bool>>) -> Arc<Vector> {
    let mut builder = VectorBuilder::new(Physical::Bool, 0);
    for value in values {
        match value {
            Some(value) => builder.push(&types::Value::Bool(value)),
            None => builder.push_null(),
        }
    }
    Arc::new(builder.finish())
}
