//! `min(x)` and `max(x)` of a table from the end of an index.
//!
//! The aggregate's input becomes its first row by `x`, which an index on `x` gives at once; the aggregate
//! stays, so that no row is still NULL. When: one call, no groups, `x` the first column of an index that
//! holds every row. Rows where `x` is NULL do not count and are kept out. Whether the index is used is
//! decided by cost: with a filter that few rows pass, sorting what passes is cheaper.
//! Source: PostgreSQL's preprocess_minmax_aggregates().

use expr::{Expr, SortKey};
use types::{DataType, Value};

use super::push_filter::filtered;
use crate::logical::{Aggregate, LogicalPlan, Scan};

pub(super) fn min_max(plan: LogicalPlan) -> LogicalPlan {
    let mut plan = plan;
    for input in plan.inputs_mut() {
        let taken = input.take();
        *input = min_max(taken);
    }
    if let LogicalPlan::Aggregate(aggregate) = &mut plan
        && let Some((column, descending)) = wanted(aggregate)
    {
        let input = aggregate.input.take();
        let not_null = Expr::IsNull { arg: Box::new(column.clone()), negated: true };
        let nullable = column.as_column().is_none_or(|id| !super::decorrelate::is_not_null(&input, id));
        let input = filtered(input, if nullable { vec![not_null] } else { Vec::new() });
        let keys = vec![SortKey { expr: column, descending, nulls_first: descending }];
        let sorted = LogicalPlan::Sort { input: Box::new(input), keys };
        *aggregate.input = LogicalPlan::Limit {
            input: Box::new(sorted),
            limit: Some(Expr::literal(Value::Int64(1), DataType::INT8)),
            offset: None,
            with_ties: None,
        };
    }
    plan
}

/// The column whose end is asked for, and which end.
fn wanted(aggregate: &Aggregate) -> Option<(Expr, bool)> {
    let [(_, call)] = aggregate.calls.as_slice() else { return None };
    let descending = match call.function.name {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    let [column] = call.args.as_slice() else { return None };
    let id = column.as_column()?;
    if !aggregate.groups.is_empty()
        || aggregate.grouping_sets.is_some()
        || call.distinct
        || call.filter.is_some()
        || column.data_type().oid == DataType::BPCHAR.oid
    {
        return None;
    }
    let scan: &Scan = match &*aggregate.input {
        LogicalPlan::Scan(scan) => scan,
        LogicalPlan::Filter { input, predicate } if !predicate.iter().any(Expr::has_subquery) => {
            match &**input {
                LogicalPlan::Scan(scan) => scan,
                _ => return None,
            }
        }
        _ => return None,
    };
    let (_, ordinal) = scan.columns.iter().find(|(column, _)| *column == id)?;
    let indexed = scan.table.indexes.iter().any(|index| {
        index.predicate.is_none() && index.columns.first().is_some_and(|key| key.column == Some(*ordinal))
    });
    indexed.then(|| (column.clone(), descending))
}
