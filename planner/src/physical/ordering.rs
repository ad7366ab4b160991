//! Orders owed: Sort, top-N, LIMIT and DISTINCT, and when an order that is there already will do.

use expr::Expr;
use types::{Result, Value};

use super::build::{Built, Cost, Want, add_columns, satisfies, shared_prefix};
use super::lower::Lowering;
use super::plan::{Op, SortKey, Strategy};
use crate::cost::cardinality::clamp_rows;
use crate::logical::LogicalPlan;

/// Above this many rows a sort that spills beats a heap that does not fit.
const LARGEST_TOP_N: f64 = 200_000.0;

impl Lowering<'_> {
    pub(super) fn sort(&mut self, input: &LogicalPlan, keys: &[SortKey], want: &Want<'_>) -> Result<Built> {
        let keys = useful_keys(keys);
        let built = self.lower_for_sort(input, &keys, want)?;
        self.sorted(built, &keys)
    }

    fn lower_for_sort(&mut self, input: &LogicalPlan, keys: &[SortKey], want: &Want<'_>) -> Result<Built> {
        let mut needed = want.columns.to_vec();
        let exprs: Vec<&Expr> = keys.iter().map(|key| &key.expr).collect();
        add_columns(exprs.iter().copied(), &mut needed);
        self.add_outer_columns(exprs, &mut needed);
        self.lower(input, &Want { columns: &needed, ordering: keys, limit: want.limit })
    }

    pub(super) fn sort_on(&mut self, built: Built, keys: &[SortKey]) -> Result<Built> {
        let presorted = shared_prefix(&built.ordering, keys);
        let lowered = self.sort_keys(keys, &built.columns)?;
        let work = self.model.sort(built.rows(), built.width());
        let startup = built.total_cost() + work;
        let cost = Cost { startup, total: startup + built.rows() * self.model.operator };
        let (columns, profile) = (built.columns.clone(), built.profile.clone());
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Sort { input, keys: lowered, presorted },
            outputs,
            columns,
            profile,
            cost,
            keys.to_vec(),
        ))
    }

    pub(super) fn limit(
        &mut self,
        input: &LogicalPlan,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        with_ties: Option<&[SortKey]>,
        want: &Want<'_>,
    ) -> Result<Built> {
        let count = limit.map(|limit| known_count(limit).unwrap_or(100.0));
        let skipped = offset.map_or(0.0, |offset| known_count(offset).unwrap_or(10.0));
        // LIMIT NULL is no limit.
        let unlimited = limit.is_none_or(Expr::is_null_literal);
        let read = if unlimited { None } else { count.map(|count| count + skipped) };
        if let (Some(limit), Some(read), None, LogicalPlan::Sort { input: below, keys }) =
            (limit, read, with_ties, input)
            && !unlimited
            && read <= LARGEST_TOP_N
        {
            let keys = useful_keys(keys);
            let inner = Want { limit: Some(read), ..*want };
            let built = self.lower_for_sort(below, &keys, &inner)?;
            if !satisfies(&built.ordering, &keys) {
                return self.top_n(built, &keys, limit, offset, read);
            }
            return self.limit_on(built, Some(limit), offset, None, read, skipped);
        }
        let mut needed = want.columns.to_vec();
        if let Some(ties) = with_ties {
            add_columns(ties.iter().map(|key| &key.expr), &mut needed);
        }
        let inner = Want { columns: &needed, ordering: want.ordering, limit: read };
        let built = self.lower(input, &inner)?;
        let read = read.unwrap_or(built.rows());
        self.limit_on(built, limit.filter(|_| !unlimited), offset, with_ties, read, skipped)
    }

    fn limit_on(
        &mut self,
        built: Built,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        with_ties: Option<&[SortKey]>,
        read: f64,
        skipped: f64,
    ) -> Result<Built> {
        let limit_lowered = limit.map(|limit| self.expr(limit, &[])).transpose()?;
        let offset_lowered = offset.map(|offset| self.expr(offset, &[])).transpose()?;
        let ties = with_ties.map(|ties| self.sort_keys(ties, &built.columns)).transpose()?;
        let rows = built.rows();
        let read = if limit.is_some() { read.min(rows) } else { rows };
        let fraction = |wanted: f64| if rows > 0.0 { (wanted / rows).min(1.0) } else { 1.0 };
        let run = built.total_cost() - built.startup_cost();
        let cost = Cost {
            startup: built.startup_cost() + run * fraction(skipped),
            total: built.startup_cost() + run * fraction(read),
        };
        let (columns, ordering) = (built.columns.clone(), built.ordering.clone());
        let mut profile = built.profile.clone();
        profile.rows = clamp_rows(read - skipped);
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Limit { input, limit: limit_lowered, offset: offset_lowered, with_ties: ties },
            outputs,
            columns,
            profile,
            cost,
            ordering,
        ))
    }

    fn top_n(
        &mut self,
        built: Built,
        keys: &[SortKey],
        limit: &Expr,
        offset: Option<&Expr>,
        read: f64,
    ) -> Result<Built> {
        let lowered = self.sort_keys(keys, &built.columns)?;
        let limit = self.expr(limit, &[])?;
        let skipped = offset.map_or(0.0, |offset| known_count(offset).unwrap_or(10.0));
        let offset = offset.map(|offset| self.expr(offset, &[])).transpose()?;
        let startup = built.total_cost() + self.model.top_n(built.rows(), read);
        let columns = built.columns.clone();
        let mut profile = built.profile.clone();
        profile.rows = clamp_rows(read.min(profile.rows) - skipped);
        let cost = Cost { startup, total: startup + profile.rows * self.model.operator };
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::TopN { input, keys: lowered, limit, offset },
            outputs,
            columns,
            profile,
            cost,
            keys.to_vec(),
        ))
    }

    pub(super) fn distinct(
        &mut self,
        input: &LogicalPlan,
        on: Option<&[Expr]>,
        want: &Want<'_>,
    ) -> Result<Built> {
        let Some(on) = on else {
            let all = input.output();
            let built = self.lower(input, &Want { columns: &all, ordering: want.ordering, limit: None })?;
            let built = self.deliver(built, &all)?;
            return self.distinct_on_all(built);
        };
        let mut needed = want.columns.to_vec();
        add_columns(on, &mut needed);
        let built = self.lower(input, &Want { columns: &needed, ordering: &[], limit: None })?;
        let keys = self.exprs(on, &built.columns)?;
        let leading = built.ordering.len() >= on.len()
            && built.ordering.iter().take(on.len()).all(|key| on.contains(&key.expr));
        let strategy = if leading { Strategy::Sorted } else { Strategy::Hashed };
        let exprs: Vec<&Expr> = on.iter().collect();
        let groups = clamp_rows(built.profile.groups(&exprs));
        let work = match strategy {
            Strategy::Sorted => built.rows() * self.model.operator * on.len() as f64,
            _ => self.model.hash_aggregate(built.rows(), groups, on.len(), 0),
        };
        let cost = Cost { startup: built.startup_cost(), total: built.total_cost() + work };
        let (columns, ordering) = (built.columns.clone(), built.ordering.clone());
        let mut profile = built.profile.clone();
        profile.rows = groups;
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Distinct { input, keys: Some(keys), strategy },
            outputs,
            columns,
            profile,
            cost,
            ordering,
        ))
    }

    /// DISTINCT over all columns of a plan.
    pub(super) fn distinct_on_all(&mut self, built: Built) -> Result<Built> {
        let exprs: Vec<Expr> =
            built.columns.iter().map(|id| Expr::column(*id, self.columns.entry(*id).data_type)).collect();
        let refs: Vec<&Expr> = exprs.iter().collect();
        let groups = clamp_rows(built.profile.groups(&refs));
        let sorted = built.ordering.len() >= exprs.len()
            && built.ordering.iter().take(exprs.len()).all(|key| exprs.contains(&key.expr));
        let strategy = if sorted { Strategy::Sorted } else { Strategy::Hashed };
        let work = match strategy {
            Strategy::Sorted => built.rows() * self.model.operator * exprs.len() as f64,
            _ => self.model.hash_aggregate(built.rows(), groups, exprs.len(), 0),
        };
        let total = built.total_cost() + work;
        let startup = if sorted { built.startup_cost() } else { total - groups * self.model.tuple };
        let columns = built.columns.clone();
        // A hash table that keeps the first of each hands them on as they come.
        let ordering = if sorted { built.ordering.clone() } else { Vec::new() };
        let mut profile = built.profile.clone();
        profile.rows = groups;
        let outputs = self.outputs(&columns);
        Ok(built.above(
            |input| Op::Distinct { input, keys: None, strategy },
            outputs,
            columns,
            profile,
            Cost { startup, total },
            ordering,
        ))
    }
}

/// Without constants and repeats, which decide nothing.
fn useful_keys(keys: &[SortKey]) -> Vec<SortKey> {
    let mut useful: Vec<SortKey> = Vec::new();
    for key in keys {
        let constant = key.expr.is_constant() && key.expr.volatility() < expr::Volatility::Volatile;
        if !constant && !useful.iter().any(|known| known.expr == key.expr) {
            useful.push(key.clone());
        }
    }
    useful
}

fn known_count(expr: &Expr) -> Option<f64> {
    match expr.as_literal()? {
        Value::Null => None,
        value => value.as_i64().map(|count| count.max(0) as f64),
    }
}
