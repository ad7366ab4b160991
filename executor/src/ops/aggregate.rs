//! Aggregate: rows to groups, groups to one row each.
//!
//! Plain (one group), hashed, sorted, and grouping sets (one table per set). The group table numbers the
//! keys, the accumulators of `expr::aggregate` keep the states; FILTER, DISTINCT and ORDER BY inside a call
//! are done here. Arguments that several calls share are evaluated once.
//!
//! Over `work_mem` a hashed aggregate takes no new groups: rows of unknown groups go to partitions on
//! disk, which are aggregated one after the other once the groups in memory are done. A sorted one hands
//! over its groups whenever there are many, all but the last.

use std::sync::Arc;

use expr::{Accumulator, AggregateCall, Expr};
use planner::physical::plan::{AggregateOp, Node, Op, Strategy};
use types::hash::hash_vector;
use types::key::{KeyColumn, KeyLayout};
use types::{BATCH_SIZE, Batch, Data, DataType, Error, Result, Validity, Value, Vector};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::group_table::{GroupTable, NO_GROUP};
use crate::row_buffer::RowBuffer;
use crate::spill::{RunReader, RunWriter};
use crate::table::keys::EncodedKeys;

/// Partitions a spilling aggregate or join cuts its rows into.
pub(crate) const PARTITIONS: usize = 16;

/// How often partitions may be cut again before they are taken to hold one key each.
pub(crate) const MAX_LEVEL: u32 = 8;

/// Groups a sorted aggregate collects before it hands them over.
const SORTED_FLUSH: usize = 1000;

/// The operator of an `Aggregate` node.
pub fn build(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Result<BoxOperator> {
    let op = aggregate(node)?;
    let input_types = op.input.columns.iter().map(|column| column.data_type).collect();
    Ok(Box::new(Aggregate {
        node: node.clone(),
        input: Some(input),
        input_types,
        shared: SharedArgs::new(&op.calls),
        memory: cx.reserve(),
        sets: Vec::new(),
        level: 0,
        partitions: None,
        pending: Vec::new(),
        reader: None,
        output: Vec::new(),
        seen_rows: false,
    }))
}

fn aggregate(node: &Node) -> Result<&AggregateOp> {
    match &node.op {
        Op::Aggregate(op) => Ok(op),
        _ => Err(Error::internal("not an aggregate")),
    }
}

struct Aggregate {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    input_types: Vec<DataType>,
    shared: SharedArgs,
    memory: Reservation,
    sets: Vec<GroupingSet>,
    /// How often the rows at hand have been partitioned.
    level: u32,
    /// Where rows of groups that have no room go, once spilling.
    partitions: Option<Vec<RunWriter>>,
    pending: Vec<(RunReader, u32)>,
    /// The partition being read.
    reader: Option<RunReader>,
    /// Batches to hand over, next last.
    output: Vec<Batch>,
    seen_rows: bool,
}

/// The distinct argument expressions of all calls.
struct SharedArgs {
    exprs: Vec<Expr>,
    /// Per call: positions in `exprs`.
    args: Vec<Vec<usize>>,
}

impl SharedArgs {
    fn new(calls: &[AggregateCall]) -> SharedArgs {
        let mut exprs: Vec<Expr> = Vec::new();
        let args = calls
            .iter()
            .map(|call| {
                call.args
                    .iter()
                    .map(|arg| match exprs.iter().position(|known| known == arg) {
                        Some(position) if arg.volatility() < expr::Volatility::Volatile => position,
                        _ => {
                            exprs.push(arg.clone());
                            exprs.len() - 1
                        }
                    })
                    .collect()
            })
            .collect();
        SharedArgs { exprs, args }
    }
}

/// One set of grouping columns with the states of its groups.
struct GroupingSet {
    /// Indexes into the node's `groups`.
    columns: Vec<usize>,
    /// `None`: everything is one group.
    table: Option<GroupTable>,
    calls: Vec<CallState>,
}

struct CallState {
    accumulator: Box<dyn Accumulator>,
    /// DISTINCT: the (group, arguments) seen.
    distinct: Option<GroupTable>,
    ordered: Option<OrderedRows>,
}

/// Rows kept to be fed in order.
struct OrderedRows {
    layout: KeyLayout,
    keys: EncodedKeys,
    /// The group, then the arguments.
    rows: RowBuffer,
    order_by: Vec<Expr>,
}

impl CallState {
    fn new(call: &AggregateCall) -> Result<CallState> {
        let types: Vec<DataType> =
            std::iter::once(DataType::OID).chain(call.args.iter().map(|arg| arg.data_type())).collect();
        let key = |data_type, descending, nulls_first| KeyColumn {
            data_type,
            descending,
            nulls_first,
            nullable: true,
        };
        let mut order_by: Vec<Expr> = Vec::new();
        let mut columns = vec![key(DataType::OID, false, false)];
        for sort in &call.order_by {
            columns.push(key(sort.expr.data_type(), sort.descending, sort.nulls_first));
            order_by.push(sort.expr.clone());
        }
        // PostgreSQL sorts to find the distinct values, and so hands them over in order.
        let collects =
            matches!(call.function.name, "array_agg" | "string_agg" | "json_agg" | "jsonb_agg" | "xmlagg");
        if call.distinct && collects && order_by.is_empty() {
            for arg in &call.args {
                columns.push(key(arg.data_type(), false, false));
                order_by.push(arg.clone());
            }
        }
        let ordered = (!order_by.is_empty()).then(|| OrderedRows {
            layout: KeyLayout::new(columns),
            keys: EncodedKeys::default(),
            rows: RowBuffer::new(&types),
            order_by,
        });
        Ok(CallState {
            accumulator: call.accumulator()?,
            distinct: call.distinct.then(|| GroupTable::without_keys(&types)),
            ordered,
        })
    }

    fn size_bytes(&self) -> usize {
        self.accumulator.size_bytes()
            + self.distinct.as_ref().map_or(0, GroupTable::size_bytes)
            + self.ordered.as_ref().map_or(0, |o| o.rows.size_bytes() + o.keys.size_bytes())
    }

    /// Takes the rows of `batch`; `groups` are theirs, or `None` if all belong to group 0.
    fn update(
        &mut self,
        call: &AggregateCall,
        groups: Option<&[u32]>,
        args: Vec<Arc<Vector>>,
        batch: &Batch,
        cx: &ExecContext,
    ) -> Result<()> {
        let len = batch.len();
        let mut selected: Option<Vec<u32>> = match &call.filter {
            Some(filter) => cx.filter(std::slice::from_ref(filter), batch)?,
            None => None,
        };
        if selected.is_none() && self.distinct.is_none() && self.ordered.is_none() {
            return cx.with_eval(|eval| match groups {
                Some(groups) => self.accumulator.update(groups, &args, eval),
                None => self.accumulator.update_all(&args, len, eval),
            });
        }
        let mut order_by = match &self.ordered {
            Some(ordered) => cx.eval_all(&ordered.order_by, batch)?,
            None => Vec::new(),
        };
        let mut args = args;
        let mut groups = groups.map_or_else(|| vec![0; len], <[u32]>::to_vec);
        let mut narrow = |rows: &[u32], groups: &mut Vec<u32>, args: &mut Vec<Arc<Vector>>| {
            *groups = rows.iter().map(|&row| groups[row as usize]).collect();
            for column in args.iter_mut().chain(&mut order_by) {
                *column = Arc::new(column.gather(rows));
            }
        };
        if let Some(rows) = selected.take() {
            narrow(&rows, &mut groups, &mut args);
        }
        if let Some(distinct) = &mut self.distinct {
            let mut columns = vec![group_column(&groups)];
            columns.extend(args.iter().cloned());
            let (mut ids, mut first) = (Vec::new(), Vec::new());
            distinct.insert(&columns, groups.len(), &mut ids, Some(&mut first))?;
            if first.len() < groups.len() {
                narrow(&first, &mut groups, &mut args);
            }
        }
        if groups.is_empty() {
            return Ok(());
        }
        match &mut self.ordered {
            Some(ordered) => {
                let group = group_column(&groups);
                let mut keys = vec![group.clone()];
                keys.append(&mut order_by);
                ordered.keys.append(&ordered.layout, &keys, groups.len())?;
                let mut columns = vec![group];
                columns.append(&mut args);
                ordered.rows.append(&Batch::new(columns, groups.len()));
                Ok(())
            }
            None => cx.with_eval(|eval| self.accumulator.update(&groups, &args, eval)),
        }
    }

    fn finish(mut self, cx: &ExecContext) -> Result<Vector> {
        if let Some(ordered) = self.ordered.take() {
            let order = ordered.keys.sorted();
            let rows = ordered.rows.finish();
            for part in order.chunks(BATCH_SIZE) {
                let mut columns = rows.gather(part).into_columns();
                let group = columns.remove(0);
                let Data::UInt32(groups) = group.data() else {
                    return Err(Error::internal("groups are no numbers"));
                };
                cx.with_eval(|eval| self.accumulator.update(groups, &columns, eval))?;
            }
        }
        cx.with_eval(|eval| self.accumulator.finish(eval))
    }
}

fn group_column(groups: &[u32]) -> Arc<Vector> {
    Arc::new(Vector::flat(Data::UInt32(groups.to_vec()), Validity::all()))
}

impl GroupingSet {
    fn new(op: &AggregateOp, columns: Vec<usize>) -> Result<GroupingSet> {
        let types: Vec<DataType> = columns.iter().map(|&column| op.groups[column].data_type()).collect();
        let mut calls = op.calls.iter().map(CallState::new).collect::<Result<Vec<_>>>()?;
        let table = (!columns.is_empty()).then(|| GroupTable::new(&types));
        if table.is_none() {
            calls.iter_mut().for_each(|call| call.accumulator.resize(1));
        }
        Ok(GroupingSet { columns, table, calls })
    }

    fn size_bytes(&self) -> usize {
        self.table.as_ref().map_or(0, GroupTable::size_bytes)
            + self.calls.iter().map(CallState::size_bytes).sum::<usize>()
    }

    fn groups(&self) -> usize {
        self.table.as_ref().map_or(1, GroupTable::len)
    }
}

impl Operator for Aggregate {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = aggregate(&node)?;
        loop {
            if let Some(batch) = self.output.pop() {
                match cx.filter_batch(&op.having, batch)? {
                    Some(batch) => return Ok(Some(batch)),
                    None => continue,
                }
            }
            cx.check_interrupt()?;
            let batch = match (&mut self.input, &mut self.reader) {
                (Some(input), _) => input.next(cx)?,
                (None, Some(reader)) => reader.read()?,
                (None, None) => match self.pending.pop() {
                    Some((reader, level)) => {
                        self.reader = Some(reader);
                        self.level = level;
                        continue;
                    }
                    None => return Ok(None),
                },
            };
            if self.sets.is_empty() {
                if batch.is_none() && self.reader.is_some() {
                    self.reader = None;
                    continue;
                }
                self.start(op)?;
            }
            match batch {
                Some(batch) => {
                    self.seen_rows = true;
                    self.take(op, &batch, cx)?;
                }
                None => {
                    self.input = None;
                    self.reader = None;
                    self.flush(op, cx)?;
                    self.memory.set(0)?;
                    for partition in self.partitions.take().into_iter().flatten() {
                        if partition.rows() > 0 {
                            let reader = partition.finish()?;
                            if cx.is_instrumented() {
                                let bytes = reader.size_bytes();
                                cx.update_stats(self.node.id, |stats| stats.spilled_bytes += bytes);
                            }
                            self.pending.push((reader, self.level + 1));
                        }
                    }
                }
            }
        }
    }
}

impl Aggregate {
    fn start(&mut self, op: &AggregateOp) -> Result<()> {
        self.sets = match &op.grouping_sets {
            Some(sets) => {
                sets.iter().map(|set| GroupingSet::new(op, set.clone())).collect::<Result<Vec<_>>>()?
            }
            None => vec![GroupingSet::new(op, (0..op.groups.len()).collect())?],
        };
        Ok(())
    }

    fn take(&mut self, op: &AggregateOp, batch: &Batch, cx: &ExecContext) -> Result<()> {
        let keys = cx.eval_all(&op.groups, batch)?;
        if op.strategy == Strategy::Sorted
            && let [set] = self.sets.as_mut_slice()
            && let Some(table) = &mut set.table
            && table.len() > SORTED_FLUSH
        {
            let mut groups = Vec::new();
            table.find(&keys, batch.len(), &mut groups)?;
            let last = (table.len() - 1) as u32;
            let same = groups.iter().take_while(|&&group| group == last).count();
            if same < batch.len() {
                if same > 0 {
                    self.update(op, &batch.slice(0, same), None, cx)?;
                }
                self.flush(op, cx)?;
                self.start(op)?;
                return self.update(op, &batch.slice(same, batch.len()), None, cx);
            }
        }
        self.update(op, batch, Some(keys), cx)
    }

    fn update(
        &mut self,
        op: &AggregateOp,
        batch: &Batch,
        keys: Option<Vec<Arc<Vector>>>,
        cx: &ExecContext,
    ) -> Result<()> {
        let keys = match keys {
            Some(keys) => keys,
            None => cx.eval_all(&op.groups, batch)?,
        };
        let mut rest = None;
        if let (Some(partitions), [set]) = (&mut self.partitions, self.sets.as_mut_slice())
            && let Some(table) = &mut set.table
        {
            // Full: only rows of known groups are taken.
            let mut groups = Vec::new();
            table.find(&keys, batch.len(), &mut groups)?;
            let mut hashes = vec![0; batch.len()];
            keys.iter().for_each(|column| hash_vector(column, &mut hashes));
            let mut known = Vec::with_capacity(batch.len());
            for (row, &group) in groups.iter().enumerate() {
                if group == NO_GROUP {
                    partitions[partition_of(hashes[row], self.level)].write_row(batch, row)?;
                } else {
                    known.push(row as u32);
                }
            }
            if known.is_empty() {
                return Ok(());
            }
            let batch = batch.gather(&known);
            let keys = keys.iter().map(|column| Arc::new(column.gather(&known))).collect();
            rest = Some((batch, keys));
        }
        let (batch, keys) = match &rest {
            Some((batch, keys)) => (batch, keys),
            None => (batch, &keys),
        };
        let args = cx.eval_all(&self.shared.exprs, batch)?;
        let mut groups = Vec::new();
        for set in &mut self.sets {
            if let Some(table) = &mut set.table {
                let columns: Vec<Arc<Vector>> =
                    set.columns.iter().map(|&column| keys[column].clone()).collect();
                table.insert(&columns, batch.len(), &mut groups, None)?;
                set.calls.iter_mut().for_each(|call| call.accumulator.resize(table.len()));
            }
            let groups = set.table.as_ref().map(|_| groups.as_slice());
            for ((state, call), positions) in set.calls.iter_mut().zip(&op.calls).zip(&self.shared.args) {
                let args = positions.iter().map(|&position| args[position].clone()).collect();
                state.update(call, groups, args, batch, cx)?;
            }
        }
        self.memory.set(self.sets.iter().map(GroupingSet::size_bytes).sum())?;
        if self.memory.over_budget()
            && self.partitions.is_none()
            && op.strategy == Strategy::Hashed
            && self.sets.len() == 1
            && self.sets.iter().all(|set| set.table.is_some())
            && self.level < MAX_LEVEL
        {
            let writers = (0..PARTITIONS).map(|_| RunWriter::new(&self.input_types, cx));
            self.partitions = Some(writers.collect::<Result<Vec<_>>>()?);
        }
        Ok(())
    }

    /// Turns all groups into output.
    fn flush(&mut self, op: &AggregateOp, cx: &ExecContext) -> Result<()> {
        if cx.is_instrumented() {
            let bytes = self.memory.peak_bytes() as u64;
            cx.update_stats(self.node.id, |stats| stats.memory_bytes = stats.memory_bytes.max(bytes));
        }
        let mut batches = Vec::new();
        for set in std::mem::take(&mut self.sets) {
            let groups = set.groups();
            if groups == 0 {
                continue;
            }
            let mut columns = Vec::with_capacity(self.node.columns.len());
            let keys = set.table.map(|mut table| table.take_keys()).unwrap_or_default();
            for (position, expr) in op.groups.iter().enumerate() {
                let key = set.columns.iter().position(|&column| column == position);
                columns.push(match key.and_then(|key| keys.get(key)) {
                    Some(key) => key.clone(),
                    None => Arc::new(Vector::nulls(expr.data_type().physical, groups)),
                });
            }
            for call in &op.grouping_calls {
                let bits = call
                    .iter()
                    .fold(0i32, |bits, column| bits << 1 | i32::from(!set.columns.contains(column)));
                let physical = types::Physical::Int32;
                columns.push(Arc::new(Vector::constant(&Value::Int32(bits), physical, groups)));
            }
            for call in set.calls {
                columns.push(Arc::new(call.finish(cx)?));
            }
            let whole = Batch::new(columns, groups);
            for start in (0..groups).step_by(BATCH_SIZE) {
                batches.push(whole.slice(start, groups.min(start + BATCH_SIZE)));
            }
        }
        batches.reverse();
        self.output = batches;
        Ok(())
    }
}

/// The partition of a hash, by other bits at each level.
pub(crate) fn partition_of(hash: u64, level: u32) -> usize {
    (hash.rotate_right(level * 4) % PARTITIONS as u64) as usize
}
