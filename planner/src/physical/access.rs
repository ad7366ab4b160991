//! Access paths: how a table's rows are reached, and what is known of them.
//!
//! Conjuncts on the leading columns of a key become ranges of it: equalities and IN lists first, then
//! one bound from each side, IS NULL or a LIKE prefix. What a range says exactly leaves the filter. The
//! cheapest of the whole table, a range of its own key, and each secondary index is taken, an order or
//! a LIMIT that the parent asked for counted in.

use std::sync::Arc;

use catalog::{IndexDef, TableDef};
use expr::function::Selectivity;
use expr::{ColumnId, Comparison, Expr};
use types::key::KeyColumn;
use types::{DataType, Result, Value};

use super::build::{Built, Cost, Want, add_columns, node};
use super::lower::Lowering;
use super::plan::{IndexScan, KeyRange, KeyScan, Op, SeqScan, SortKey};
use crate::cost::cardinality::{self, Size, clamp_rows, default_width, table_size};
use crate::cost::model::DISABLED;
use crate::cost::{Profile, selectivity};
use crate::logical::Scan;

/// More ranges than this are not worth their look-ups.
const MOST_RANGES: usize = 1000;

/// How the conjuncts of a filter narrow an index.
#[derive(Debug, Clone)]
struct Narrowed {
    ranges: Vec<KeyRange>,
    /// Conjuncts (by position) that narrowed it, and those of them that need no checking afterwards.
    used: Vec<usize>,
    exact: Vec<usize>,
    /// Key columns pinned to one value.
    pinned: Vec<usize>,
}

struct Path {
    index: Option<Arc<IndexDef>>,
    index_only: bool,
    ranges: Vec<KeyRange>,
    exact: Vec<usize>,
    backward: bool,
    ordering: Vec<SortKey>,
    cost: Cost,
    /// What decides: the cost with the parent's wishes counted in.
    worth: f64,
}

impl Lowering<'_> {
    pub(super) fn table_size(&self, table: &TableDef) -> Size {
        table_size(table, self.cx)
    }

    pub(super) fn index_pages(&self, table: &TableDef, index: &IndexDef, size: Size) -> f64 {
        if index.is_clustered {
            return size.pages;
        }
        let width: f64 =
            16.0 + index.columns.iter().map(|column| default_width(column.data_type)).sum::<f64>();
        let _ = table;
        self.cx
            .statistics
            .page_count(index.id)
            .unwrap_or_else(|| (size.rows * width / 12_000.0).ceil())
            .max(1.0)
    }

    /// What is known of a table's rows before any filter.
    pub(super) fn table_profile(&mut self, scan: &Scan) -> Profile {
        let relation = self.new_relation();
        cardinality::table_profile(scan, self.cx, relation)
    }

    /// The scan's output for a parent that reads `needed`: columns with their ordinals.
    pub(super) fn scan_columns(&self, scan: &Scan, needed: &[ColumnId]) -> Vec<(ColumnId, usize)> {
        scan.columns.iter().copied().filter(|(id, _)| needed.contains(id)).collect()
    }

    pub(super) fn scan(&mut self, scan: &Scan, predicate: &[Expr], want: &Want<'_>) -> Result<Built> {
        self.depend_on(scan.table.id);
        let (once, conjuncts): (Vec<Expr>, Vec<Expr>) =
            predicate.iter().cloned().partition(Expr::is_execution_constant);
        let mut needed = want.columns.to_vec();
        add_columns(&conjuncts, &mut needed);
        self.add_outer_columns(&conjuncts, &mut needed);
        let base = self.table_profile(scan);
        let path = self.best_path(scan, &conjuncts, &needed, &base, want);

        let kept = self.scan_columns(scan, &needed);
        let mut columns: Vec<ColumnId> = kept.iter().map(|(id, _)| *id).collect();
        let row_key = scan.row_key.filter(|id| needed.contains(id));
        columns.extend(row_key);
        let mut profile = base.clone().scaled(selectivity::conjunction(&conjuncts, &base));
        narrow_distincts(&mut profile, &base, &conjuncts);
        let filter: Vec<&Expr> = conjuncts
            .iter()
            .enumerate()
            .filter(|(position, _)| !path.exact.contains(position))
            .map(|(_, conjunct)| conjunct)
            .collect();
        let filter = self.exprs(filter, &columns)?;
        let seq = SeqScan {
            table: scan.table.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(_, ordinal)| *ordinal).collect(),
            row_key: row_key.is_some(),
            filter,
        };
        let ranges: Vec<KeyRange> =
            path.ranges.iter().map(|range| self.key_range(range)).collect::<Result<_>>()?;
        let op = match path.index {
            None => Op::SeqScan(seq),
            Some(index) if index.is_clustered => {
                Op::KeyScan(KeyScan { scan: seq, index, ranges, backward: path.backward })
            }
            Some(index) => Op::IndexScan(IndexScan {
                scan: seq,
                index,
                ranges,
                backward: path.backward,
                index_only: path.index_only,
            }),
        };
        let node = node(op, self.outputs(&columns), &columns, &profile, path.cost);
        let built = Built { node, columns, profile, ordering: path.ordering };
        self.filter_on(built, &once)
    }

    fn key_range(&mut self, range: &KeyRange) -> Result<KeyRange> {
        let mut lowered = range.clone();
        lowered.equals = self.exprs(&range.equals, &[])?;
        for bound in [&mut lowered.lower, &mut lowered.upper].into_iter().flatten() {
            bound.0 = self.expr(&bound.0.clone(), &[])?;
        }
        Ok(lowered)
    }

    fn best_path(
        &mut self,
        scan: &Scan,
        conjuncts: &[Expr],
        needed: &[ColumnId],
        base: &Profile,
        want: &Want<'_>,
    ) -> Path {
        let size = self.table_size(&scan.table);
        let filter_cost = self.expression_cost(conjuncts);
        let output_rows = clamp_rows(size.rows * selectivity::conjunction(conjuncts, base));
        let sort_cost = if want.ordering.is_empty() {
            0.0
        } else {
            match want.limit {
                Some(limit) => self.model.top_n(output_rows, limit),
                None => self.model.sort(output_rows, base.width(needed)),
            }
        };
        let worth = |cost: Cost, ordered: bool| {
            let sorts = !want.ordering.is_empty() && !ordered;
            match want.limit {
                _ if sorts => cost.total + sort_cost,
                Some(limit) => {
                    let fraction = (limit / output_rows).min(1.0);
                    cost.startup + (cost.total - cost.startup) * fraction
                }
                None => cost.total,
            }
        };
        let mut cost =
            Cost { startup: 0.0, total: self.model.scan(size.pages, size.rows) + size.rows * filter_cost };
        let penalty = if self.cx.settings.enable_seqscan { 0.0 } else { DISABLED };
        cost.startup += penalty;
        cost.total += penalty;
        let mut best = Path {
            index: None,
            index_only: false,
            ranges: Vec::new(),
            exact: Vec::new(),
            backward: false,
            ordering: Vec::new(),
            cost,
            worth: worth(cost, false),
        };
        for index in &scan.table.indexes {
            if index.predicate.is_some() && !self.holds_all(scan, index, conjuncts) {
                continue;
            }
            let narrowed = self.narrow(scan, index, conjuncts);
            let order = index_order(scan, index, narrowed.as_ref(), want.ordering);
            let ordered = order.is_some();
            if narrowed.is_none() && !ordered {
                continue;
            }
            let narrowed = narrowed.unwrap_or_else(|| Narrowed {
                ranges: vec![unbounded()],
                used: Vec::new(),
                exact: Vec::new(),
                pinned: Vec::new(),
            });
            let used = narrowed.used.iter().filter_map(|position| conjuncts.get(*position));
            let mut fraction = selectivity::conjunction(used, base);
            let pins_key =
                index.unique && narrowed.ranges.iter().all(|range| range.equals.len() == index.columns.len());
            if pins_key {
                fraction = fraction.min(narrowed.ranges.len() as f64 / size.rows);
            }
            let fetched = (size.rows * fraction).max(narrowed.ranges.len().min(1) as f64);
            let pages = self.index_pages(&scan.table, index, size);
            let descents = narrowed.ranges.len() as f64 * self.model.descent(pages);
            let index_only =
                !index.is_clustered && self.cx.settings.enable_indexonlyscan && covers(scan, index, needed);
            let mut run = (pages * fraction).max(narrowed.ranges.len() as f64 * 0.5)
                * if fraction < 0.01 { self.model.random_page(pages) } else { self.model.sequential_page }
                + fetched * (self.model.tuple + filter_cost);
            if !index.is_clustered {
                run += fetched * self.model.index_tuple;
                if !index_only {
                    run +=
                        fetched * (self.model.descent(size.pages) * 0.5 + self.model.random_page(size.pages));
                }
            }
            let penalty = if self.cx.settings.enable_indexscan { 0.0 } else { DISABLED };
            let cost = Cost { startup: descents + penalty, total: descents + run + penalty };
            let worth = worth(cost, ordered);
            // A whole key is at most a row however the table grows; a scan of a small table is good as long as it is
            // small, and the plan may be kept for longer.
            let is_safer = pins_key && narrowed.ranges.len() <= 16 && best.index.is_none() && penalty == 0.0;
            if worth < best.worth || is_safer {
                let (ordering, backward) = match order {
                    Some((ordering, backward)) => (ordering, backward),
                    None => (natural_order(scan, index, narrowed.ranges.len()), false),
                };
                best = Path {
                    index: Some(index.clone()),
                    index_only,
                    ranges: narrowed.ranges,
                    exact: narrowed.exact,
                    backward,
                    ordering,
                    cost,
                    worth,
                };
            }
        }
        best
    }

    /// Whether a partial index has every row that passes the filter: each part of its condition is part of
    /// the filter, or says no more than that a column the filter needs is not NULL.
    fn holds_all(&self, scan: &Scan, index: &IndexDef, conjuncts: &[Expr]) -> bool {
        let Ok((_, Some(condition))) = crate::binder::bind_index(&scan.table, index, self.cx) else {
            return false;
        };
        let mut condition = condition;
        let mut known = true;
        expr::walk::replace(&mut condition, &mut |part| match part {
            Expr::Input { position, data_type } => {
                let column = scan.columns.iter().find(|(_, ordinal)| ordinal == position);
                known &= column.is_some();
                column.map(|(id, _)| Expr::column(*id, *data_type))
            }
            _ => None,
        });
        known && condition.into_conjuncts().iter().all(|part| {
            conjuncts.contains(part)
                || matches!(part, Expr::IsNull { arg, negated: true } if arg.as_column().is_some_and(|id| {
                    conjuncts.iter().any(|conjunct| crate::rewrite::rejects_nulls(conjunct, &|c| c == id))
                }))
        })
    }

    /// The ranges of `index` that hold every row for which `conjuncts` may be true. None when they say
    /// nothing about its first column.
    fn narrow(&self, scan: &Scan, index: &IndexDef, conjuncts: &[Expr]) -> Option<Narrowed> {
        let mut narrowed =
            Narrowed { ranges: vec![unbounded()], used: Vec::new(), exact: Vec::new(), pinned: Vec::new() };
        for key in &index.columns {
            let ordinal = key.column?;
            let Some((id, _)) = scan.columns.iter().find(|(_, column)| *column == ordinal) else { break };
            if key.data_type.oid == DataType::BPCHAR.oid {
                break;
            }
            if let Some((position, values, single)) = self.pinning(conjuncts, *id, key.data_type)
                && narrowed.ranges.len() * values.len().max(1) <= MOST_RANGES
            {
                let mut values = values;
                if key.descending {
                    values.reverse();
                }
                narrowed.ranges = narrowed
                    .ranges
                    .iter()
                    .flat_map(|range| {
                        values.iter().map(|value| {
                            let mut range = range.clone();
                            range.equals.push(value.clone());
                            range
                        })
                    })
                    .collect();
                narrowed.used.push(position);
                narrowed.exact.push(position);
                if single {
                    narrowed.pinned.push(ordinal);
                }
                continue;
            }
            self.bound(conjuncts, *id, key.data_type, &mut narrowed);
            break;
        }
        (!narrowed.used.is_empty()).then_some(narrowed)
    }

    /// A conjunct that pins the column to one value or a list of literals: its position, the values in
    /// ascending order, and whether it is one value.
    fn pinning(
        &self,
        conjuncts: &[Expr],
        id: ColumnId,
        data_type: DataType,
    ) -> Option<(usize, Vec<Expr>, bool)> {
        for (position, conjunct) in conjuncts.iter().enumerate() {
            if let Some((Comparison::Equal, constant)) = compared(conjunct, id)
                && let Some(constant) = self.key_constant(constant, data_type)
            {
                return Some((position, vec![constant], true));
            }
        }
        for (position, conjunct) in conjuncts.iter().enumerate() {
            let items: Vec<Expr> = match conjunct {
                Expr::InList { arg, list, operator, negated: false }
                    if operator.is_equality() && selectivity::strip(arg).as_column() == Some(id) =>
                {
                    list.clone()
                }
                Expr::AnyAll { left, array, operator, all: false }
                    if operator.is_equality() && selectivity::strip(left).as_column() == Some(id) =>
                {
                    match (array.as_literal(), array.data_type().element()) {
                        (Some(Value::Array(array)), Some(element)) => {
                            array.elements.iter().map(|value| Expr::literal(value.clone(), element)).collect()
                        }
                        _ => continue,
                    }
                }
                _ => continue,
            };
            let mut values = Vec::new();
            let mut complete = true;
            for item in &items {
                match self.key_constant(item, data_type) {
                    Some(Expr::Literal { value: Value::Null, .. }) => {}
                    Some(Expr::Literal { value, .. }) => values.push(value),
                    _ => complete = false,
                }
            }
            if complete {
                values.sort();
                values.dedup();
                let single = values.len() == 1;
                let values = values.into_iter().map(|value| Expr::literal(value, data_type)).collect();
                return Some((position, values, single));
            }
        }
        None
    }

    /// Bounds on the column after the pinned ones.
    fn bound(&self, conjuncts: &[Expr], id: ColumnId, data_type: DataType, narrowed: &mut Narrowed) {
        let mut lower: Option<(Expr, bool)> = None;
        let mut upper: Option<(Expr, bool)> = None;
        let mut is_null = false;
        for (position, conjunct) in conjuncts.iter().enumerate() {
            if let Expr::IsNull { arg, negated: false } = conjunct
                && arg.as_column() == Some(id)
                && lower.is_none()
                && upper.is_none()
            {
                is_null = true;
                narrowed.used.push(position);
                narrowed.exact.push(position);
                break;
            }
            if let Some((comparison, constant)) = compared(conjunct, id)
                && let Some(constant) = self.key_constant(constant, data_type)
            {
                let (slot, inclusive) = match comparison {
                    Comparison::Greater => (&mut lower, false),
                    Comparison::GreaterEqual => (&mut lower, true),
                    Comparison::Less => (&mut upper, false),
                    Comparison::LessEqual => (&mut upper, true),
                    _ => continue,
                };
                if slot.is_none() {
                    *slot = Some((constant, inclusive));
                    narrowed.used.push(position);
                    narrowed.exact.push(position);
                }
            } else if let Some((prefix, whole)) = like_prefix(conjunct, id)
                && lower.is_none()
                && upper.is_none()
            {
                let Some(end) = text_successor(&prefix) else { continue };
                lower = Some((Expr::literal(Value::text(prefix.as_str()), data_type), true));
                upper = Some((Expr::literal(Value::text(end.as_str()), data_type), false));
                narrowed.used.push(position);
                if whole {
                    narrowed.exact.push(position);
                }
            }
        }
        for range in &mut narrowed.ranges {
            range.lower = lower.clone();
            range.upper = upper.clone();
            range.is_null = is_null;
        }
    }

    /// The one value a conjunct pins the column to, as a value of the key's type.
    pub(super) fn pinned(&self, conjuncts: &[Expr], id: ColumnId, data_type: DataType) -> Option<Expr> {
        conjuncts.iter().find_map(|conjunct| match compared(conjunct, id) {
            Some((Comparison::Equal, constant)) => self.key_constant(constant, data_type),
            _ => None,
        })
    }

    /// `constant` as a value of the key column's type, if it can be one without a change of meaning.
    pub(super) fn key_constant(&self, constant: &Expr, data_type: DataType) -> Option<Expr> {
        if !constant.is_execution_constant() || !constant.columns().is_empty() {
            return None;
        }
        let from = constant.data_type();
        if from.oid == data_type.oid || same_text(from, data_type) {
            return Some(match constant {
                Expr::Literal { value, .. } => Expr::literal(value.clone(), data_type),
                other => other.clone(),
            });
        }
        if let Some(value) = constant.as_literal() {
            let value = match (value, data_type.oid) {
                (Value::Null, _) => Value::Null,
                (value, oid) if oid == DataType::INT8.oid => Value::Int64(value.as_i64()?),
                (value, oid) if oid == DataType::INT4.oid => {
                    Value::Int32(i32::try_from(value.as_i64()?).ok()?)
                }
                (value, oid) if oid == DataType::INT2.oid => {
                    Value::Int16(i16::try_from(value.as_i64()?).ok()?)
                }
                _ => return None,
            };
            return Some(Expr::literal(value, data_type));
        }
        widened(constant.clone(), data_type)
    }
}

/// An integer expression as a wider integer.
pub(super) fn widened(expr: Expr, data_type: DataType) -> Option<Expr> {
    let rank = |t: DataType| match t.oid {
        oid if oid == DataType::INT2.oid => Some(1),
        oid if oid == DataType::INT4.oid => Some(2),
        oid if oid == DataType::INT8.oid => Some(3),
        _ => None,
    };
    let from = expr.data_type();
    if rank(from)? >= rank(data_type)? {
        return None;
    }
    let function = expr::registry().cast(from, data_type)?.function?;
    Some(Expr::Call {
        function,
        args: vec![expr],
        data_type,
        form: expr::CallForm::ImplicitCast,
        location: expr::Location(None),
    })
}

/// Types whose values have one form and one order: text and varchar.
pub(super) fn same_text(a: DataType, b: DataType) -> bool {
    let plain = |t: DataType| t.oid == DataType::TEXT.oid || t.oid == DataType::VARCHAR.oid;
    plain(a) && plain(b)
}

/// A filter on a column leaves fewer values of it. (One on another column leaves all, see `cardinality.rs`.)
fn narrow_distincts(profile: &mut Profile, base: &Profile, conjuncts: &[Expr]) {
    for conjunct in conjuncts {
        if let [id] = conjunct.columns().as_slice()
            && let Some(column) = profile.columns.get_mut(id)
        {
            column.distinct = (column.distinct * selectivity::selectivity(conjunct, base)).max(1.0);
        }
    }
}

fn unbounded() -> KeyRange {
    KeyRange { equals: Vec::new(), lower: None, upper: None, is_null: false }
}

/// `column op constant` with the column on the left after swapping.
fn compared(conjunct: &Expr, id: ColumnId) -> Option<(Comparison, &Expr)> {
    let (operator, left, right) = conjunct.as_operator()?;
    let comparison = operator.comparison?;
    if selectivity::strip(left).as_column() == Some(id) && right.columns().is_empty() {
        return Some((comparison, right));
    }
    if selectivity::strip(right).as_column() == Some(id) && left.columns().is_empty() {
        return Some((comparison.commuted(), left));
    }
    None
}

/// The fixed prefix of `column LIKE 'prefix…'`, and whether the pattern is just `prefix%`.
fn like_prefix(conjunct: &Expr, id: ColumnId) -> Option<(String, bool)> {
    let (operator, left, right) = conjunct.as_operator()?;
    if operator.selectivity != Selectivity::Like || selectivity::strip(left).as_column() != Some(id) {
        return None;
    }
    let pattern = right.as_literal()?.as_str()?;
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => return (!prefix.is_empty()).then_some((prefix, characters.as_str().is_empty())),
            '_' => return (!prefix.is_empty()).then_some((prefix, false)),
            '\\' => prefix.push(characters.next()?),
            other => prefix.push(other),
        }
    }
    (!prefix.is_empty()).then_some((prefix, false))
}

/// The smallest text above all that start with `prefix`, in byte order.
fn text_successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let mut next = u32::from(last) + 1;
        if next == 0xD800 {
            next = 0xE000;
        }
        if let Some(next) = char::from_u32(next) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// The order an index scan comes in, if it is the one wanted: as wanted, and whether to go backward.
fn index_order(
    scan: &Scan,
    index: &IndexDef,
    narrowed: Option<&Narrowed>,
    wanted: &[SortKey],
) -> Option<(Vec<SortKey>, bool)> {
    if wanted.is_empty() {
        return None;
    }
    let pinned: &[usize] = narrowed.map_or(&[], |narrowed| &narrowed.pinned);
    let ordinal_of = |expr: &Expr| {
        let id = expr.as_column()?;
        scan.columns.iter().find(|(column, _)| *column == id).map(|(_, ordinal)| *ordinal)
    };
    let mut keys =
        index.columns.iter().filter(|key| key.column.is_none_or(|column| !pinned.contains(&column)));
    let mut backward = None;
    for sort in wanted {
        let ordinal = ordinal_of(&sort.expr)?;
        if pinned.contains(&ordinal) {
            continue;
        }
        let Some(key) = keys.next() else {
            // A unique key that is used up orders whatever follows.
            return None;
        };
        if key.column != Some(ordinal) {
            return None;
        }
        let not_null = scan.table.columns.get(ordinal).is_some_and(|column| column.not_null);
        let reversed = key.descending != sort.descending;
        if !not_null && (key.nulls_first != reversed) != sort.nulls_first {
            return None;
        }
        if *backward.get_or_insert(reversed) != reversed {
            return None;
        }
    }
    let backward = backward.unwrap_or(false);
    // Several ranges are read one after another in key order; backward they would have to be reversed.
    if backward && narrowed.is_some_and(|narrowed| narrowed.ranges.len() > 1) {
        return None;
    }
    Some((wanted.to_vec(), backward))
}

/// The order an index scan comes in by itself.
fn natural_order(scan: &Scan, index: &IndexDef, ranges: usize) -> Vec<SortKey> {
    if ranges > 1 && index.columns.iter().any(|key| key.descending) {
        return Vec::new();
    }
    index
        .columns
        .iter()
        .map_while(|key| {
            let ordinal = key.column?;
            let (id, _) = scan.columns.iter().find(|(_, column)| *column == ordinal)?;
            Some(SortKey {
                expr: Expr::column(*id, scan.table.columns.get(ordinal)?.data_type),
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        })
        .collect()
}

/// Whether the index holds every needed column in a form it can be read back from.
fn covers(scan: &Scan, index: &IndexDef, needed: &[ColumnId]) -> bool {
    scan.columns.iter().filter(|(id, _)| needed.contains(id)).all(|(_, ordinal)| {
        let lossless = scan
            .table
            .columns
            .get(*ordinal)
            .is_some_and(|column| KeyColumn::ascending(column.data_type).is_lossless());
        let in_key = index.columns.iter().any(|key| key.column == Some(*ordinal));
        let in_table_key = scan.table.clustered_by.as_ref().is_some_and(|key| key.contains(ordinal));
        index.include.contains(ordinal) || (lossless && (in_key || in_table_key))
    })
}
