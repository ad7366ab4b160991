//! Which fraction of rows a predicate keeps.
//!
//! After PostgreSQL's selfuncs.c: most common values first, then the histogram, then the distinct
//! count, then its defaults. Beyond it: a predicate of any shape over one column with statistics is
//! evaluated on that column's common values and histogram bounds, which are a sample of it.

use std::sync::Arc;

use expr::function::Selectivity;
use expr::{BoolTest, ColumnId, EvalContext, Expr};
use types::{Batch, DataType, Physical, Value, VectorBuilder};

use super::cardinality::{ColumnProfile, Profile};

pub const DEFAULT_EQUAL: f64 = 0.005;
pub const DEFAULT_INEQUALITY: f64 = 1.0 / 3.0;
pub const DEFAULT_RANGE: f64 = 0.005;
pub const DEFAULT_MATCH: f64 = 0.005;
pub const DEFAULT_NULL: f64 = 0.005;
const DEFAULT_UNKNOWN: f64 = 1.0 / 3.0;
/// Fewer sampled values than this say little.
const SMALLEST_SAMPLE: usize = 10;

/// The fraction of rows for which all of `predicates` hold. Independent, except that bounds from both
/// sides on one column make a range.
pub fn conjunction<'e>(predicates: impl IntoIterator<Item = &'e Expr>, profile: &Profile) -> f64 {
    let mut product = 1.0;
    let mut ranges: Vec<(ColumnId, Option<f64>, Option<f64>)> = Vec::new();
    for predicate in predicates {
        if let Some((column, comparison, constant)) = column_against_constant(predicate) {
            let is_lower = matches!(comparison, Selectivity::Greater | Selectivity::GreaterEqual);
            let is_upper = matches!(comparison, Selectivity::Less | Selectivity::LessEqual);
            if (is_lower || is_upper)
                && let Some(stats) = profile.column(column)
            {
                let fraction = inequality(stats, comparison, constant);
                let position = match ranges.iter().position(|(id, _, _)| *id == column) {
                    Some(position) => position,
                    None => {
                        ranges.push((column, None, None));
                        ranges.len() - 1
                    }
                };
                let slot = if is_lower { &mut ranges[position].1 } else { &mut ranges[position].2 };
                *slot = Some(slot.map_or(fraction, |other: f64| other.min(fraction)));
                continue;
            }
        }
        product *= selectivity(predicate, profile);
    }
    for (column, lower, upper) in ranges {
        let nulls = profile.column(column).map_or(0.0, |c| c.null_fraction);
        product *= match (lower, upper) {
            (Some(lower), Some(upper)) => {
                let both_default =
                    (lower - DEFAULT_INEQUALITY).abs() < 1e-9 && (upper - DEFAULT_INEQUALITY).abs() < 1e-9;
                let between = lower + upper - 1.0 + nulls;
                if both_default {
                    DEFAULT_RANGE
                } else if between <= 0.0 {
                    // Narrower than the histogram can tell.
                    1.0e-5_f64.max(1.0 / profile.rows.max(1.0))
                } else {
                    between
                }
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 1.0,
        };
    }
    clamp(product)
}

/// The fraction of rows for which `predicate` is true.
pub fn selectivity(predicate: &Expr, profile: &Profile) -> f64 {
    let fraction = match predicate {
        Expr::Literal { value: Value::Bool(true), .. } => 1.0,
        Expr::Literal { .. } => 0.0,
        Expr::And(parts) => conjunction(parts, profile),
        Expr::Or(parts) => {
            parts.iter().map(|part| selectivity(part, profile)).fold(0.0, |sum, part| sum + part - sum * part)
        }
        Expr::Not(arg) => 1.0 - selectivity(arg, profile) - null_fraction(arg, profile),
        Expr::IsNull { arg, negated } => {
            let nulls = match arg.as_column().and_then(|id| profile.column(id)) {
                Some(column) if column.stats.is_some() => column.null_fraction,
                _ => DEFAULT_NULL,
            };
            if *negated { 1.0 - nulls } else { nulls }
        }
        Expr::BoolTest { arg, test } => {
            let truth = selectivity(arg, profile);
            let nulls = null_fraction(arg, profile);
            match test {
                BoolTest::IsTrue => truth,
                BoolTest::IsNotTrue => 1.0 - truth,
                BoolTest::IsFalse => 1.0 - truth - nulls,
                BoolTest::IsNotFalse => truth + nulls,
                BoolTest::IsUnknown => nulls,
                BoolTest::IsNotUnknown => 1.0 - nulls,
            }
        }
        Expr::Column { id, .. } => match profile.column(*id) {
            Some(column) => equality(column, Some(&Value::Bool(true))),
            None => 0.5,
        },
        Expr::InList { arg, list, negated, .. } => {
            let hits = match strip(arg).as_column().and_then(|id| profile.column(id)) {
                Some(column) => list.iter().map(|item| equality(column, item.as_literal())).sum::<f64>(),
                None => by_sample(predicate, profile)
                    .map(|hits| if *negated { 1.0 - hits } else { hits })
                    .unwrap_or(list.len() as f64 * DEFAULT_EQUAL),
            };
            if *negated { 1.0 - hits } else { hits }
        }
        Expr::AnyAll { left, array, operator, all } => {
            let elements = match array.as_literal() {
                Some(Value::Array(array)) => Some(array.elements.clone()),
                _ => None,
            };
            let column = strip(left).as_column().and_then(|id| profile.column(id));
            match (elements, column, operator.selectivity, all) {
                (Some(elements), Some(column), Selectivity::Equal, false) => {
                    elements.iter().map(|value| equality(column, Some(value))).sum()
                }
                (_, Some(column), Selectivity::Equal, false) => 10.0 * equality(column, None),
                (_, _, _, true) => 0.5,
                _ => DEFAULT_UNKNOWN,
            }
        }
        Expr::Distinct { left, right, negated, .. } => {
            let same = comparison_of_sides(left, right, profile);
            if *negated { same } else { 1.0 - same }
        }
        Expr::Subquery(_) => 0.5,
        Expr::Call { .. } => call(predicate, profile),
        _ => DEFAULT_UNKNOWN,
    };
    clamp(fraction)
}

fn call(predicate: &Expr, profile: &Profile) -> f64 {
    let Some((operator, left, right)) = predicate.as_operator() else {
        return by_sample(predicate, profile).unwrap_or(DEFAULT_UNKNOWN);
    };
    if let Some((column, kind, constant)) = column_against_constant(predicate)
        && let Some(column) = profile.column(column)
    {
        match kind {
            Selectivity::Equal => return equality(column, constant),
            Selectivity::NotEqual => return 1.0 - equality(column, constant) - column.null_fraction,
            Selectivity::Less | Selectivity::LessEqual | Selectivity::Greater | Selectivity::GreaterEqual => {
                return inequality(column, kind, constant);
            }
            _ => {}
        }
    }
    if let Some(fraction) = by_sample(predicate, profile) {
        return fraction;
    }
    match operator.selectivity {
        Selectivity::Equal => comparison_of_sides(left, right, profile),
        Selectivity::NotEqual => 1.0 - comparison_of_sides(left, right, profile),
        Selectivity::Less | Selectivity::LessEqual | Selectivity::Greater | Selectivity::GreaterEqual => {
            DEFAULT_INEQUALITY
        }
        Selectivity::Like | Selectivity::ILike | Selectivity::Regex | Selectivity::Contains => DEFAULT_MATCH,
        Selectivity::NotLike | Selectivity::NotILike | Selectivity::NotRegex => 1.0 - DEFAULT_MATCH,
        Selectivity::Unknown => DEFAULT_UNKNOWN,
    }
}

/// `a = b` of two expressions.
fn comparison_of_sides(left: &Expr, right: &Expr, profile: &Profile) -> f64 {
    let side = |expr: &Expr| match strip(expr).as_column() {
        Some(id) => profile.column(id).map(|column| (column.distinct, column.null_fraction)),
        None if expr.columns().is_empty() => Some((1.0, 0.0)),
        None => Some((profile.distinct_of(expr), 0.0)),
    };
    match (side(left), side(right)) {
        (Some((a, a_nulls)), Some((b, b_nulls))) => (1.0 - a_nulls) * (1.0 - b_nulls) / a.max(b).max(1.0),
        _ => DEFAULT_EQUAL,
    }
}

/// `column = constant`; None is a constant whose value is not known yet.
pub fn equality(column: &ColumnProfile, constant: Option<&Value>) -> f64 {
    let Some(stats) = column.statistics() else {
        let guess = if column.is_default { DEFAULT_EQUAL } else { 1.0 / column.distinct.max(1.0) };
        return guess.min(1.0);
    };
    let common: f64 = stats.most_common.iter().map(|(_, fraction)| fraction).sum();
    match constant {
        Some(Value::Null) => 0.0,
        Some(value) => {
            let found = stats
                .most_common
                .iter()
                .find(|(common, _)| compare(common, value, column.data_type) == Some(0));
            if let Some((_, fraction)) = found {
                return *fraction;
            }
            let others = (column.distinct - stats.most_common.len() as f64).max(1.0);
            let rest = (1.0 - stats.null_fraction - common).max(0.0) / others;
            match stats.most_common.last() {
                Some((_, least)) => rest.min(*least),
                None => rest,
            }
        }
        None => (1.0 - stats.null_fraction) / column.distinct.max(1.0),
    }
}

/// `column < constant` and its kin.
pub fn inequality(column: &ColumnProfile, kind: Selectivity, constant: Option<&Value>) -> f64 {
    let (Some(stats), Some(value)) = (column.statistics(), constant) else {
        return DEFAULT_INEQUALITY;
    };
    if value.is_null() {
        return 0.0;
    }
    let greater = matches!(kind, Selectivity::Greater | Selectivity::GreaterEqual);
    let or_equal = matches!(kind, Selectivity::LessEqual | Selectivity::GreaterEqual);
    let mut common = 0.0;
    let mut common_hit = 0.0;
    for (known, fraction) in &stats.most_common {
        common += fraction;
        let Some(order) = compare(known, value, column.data_type) else { return DEFAULT_INEQUALITY };
        let hit = match order {
            0 => or_equal,
            order => (order < 0) != greater,
        };
        if hit {
            common_hit += fraction;
        }
    }
    let rest = (1.0 - stats.null_fraction - common).max(0.0);
    let below = match below_fraction(&stats.histogram, value, column.data_type) {
        Some(below) => below,
        None if rest > 0.01 => return clamp(common_hit + rest * DEFAULT_INEQUALITY),
        None => 0.5,
    };
    let fraction = if greater { 1.0 - below } else { below };
    // Never quite nothing or all: statistics lag behind the rows.
    let floor = 0.01 / stats.histogram.len().max(1) as f64;
    clamp(common_hit + rest * fraction.clamp(floor, 1.0 - floor))
}

/// The fraction of a histogram's values that are below `value`.
fn below_fraction(histogram: &[Value], value: &Value, data_type: DataType) -> Option<f64> {
    let (first, last) = (histogram.first()?, histogram.last()?);
    if histogram.len() < 2 {
        return None;
    }
    if compare(value, first, data_type)? <= 0 {
        return Some(0.0);
    }
    if compare(value, last, data_type)? >= 0 {
        return Some(1.0);
    }
    let mut low = 0;
    let mut high = histogram.len() - 1;
    while high - low > 1 {
        let middle = (low + high) / 2;
        if compare(&histogram[middle], value, data_type)? <= 0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let within = match (position(&histogram[low]), position(value), position(&histogram[high])) {
        (Some(a), Some(x), Some(b)) if b > a => ((x - a) / (b - a)).clamp(0.0, 1.0),
        _ => match (text_position(&histogram[low]), text_position(value), text_position(&histogram[high])) {
            (Some(a), Some(x), Some(b)) if b > a => ((x - a) / (b - a)).clamp(0.0, 1.0),
            _ => 0.5,
        },
    };
    Some((low as f64 + within) / (histogram.len() - 1) as f64)
}

/// The order of two values, −1, 0 or 1, across the numeric forms; None when they do not compare.
fn compare(a: &Value, b: &Value, data_type: DataType) -> Option<i32> {
    if std::mem::discriminant(a) == std::mem::discriminant(b) {
        if let (Value::Text(a), Value::Text(b)) = (a, b) {
            if data_type.oid == DataType::BPCHAR.oid {
                return Some(a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')) as i32);
            }
            return Some(a.as_bytes().cmp(b.as_bytes()) as i32);
        }
        return Some(a.cmp(b) as i32);
    }
    let (x, y) = (position(a)?, position(b)?);
    // A date beside a timestamp: days beside microseconds.
    let days = |value: &Value, number: f64| match value {
        Value::Int32(_) if data_type.oid == DataType::DATE.oid => number * 86_400.0e6,
        _ => number,
    };
    let dates = data_type.oid == DataType::DATE.oid
        || data_type.oid == DataType::TIMESTAMP.oid
        || data_type.oid == DataType::TIMESTAMPTZ.oid;
    let (x, y) = if dates { (days(a, x), days(b, y)) } else { (x, y) };
    x.partial_cmp(&y).map(|order| order as i32)
}

/// A number line for the types that have one.
fn position(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Int16(value) => f64::from(*value),
        Value::Int32(value) => f64::from(*value),
        Value::Int64(value) => *value as f64,
        Value::UInt32(value) => f64::from(*value),
        Value::Float32(value) => f64::from(*value),
        Value::Float64(value) => *value,
        Value::Numeric(value) => value.to_f64().ok()?,
        Value::Interval(value) => value.span_micros() as f64,
        _ => return None,
    })
    .filter(|number| number.is_finite())
}

/// Where a text lies between texts: its first eight bytes as a fraction.
fn text_position(value: &Value) -> Option<f64> {
    let text = value.as_str()?.as_bytes();
    Some((0..8).map(|i| f64::from(text.get(i).copied().unwrap_or(0)) / 256f64.powi(i as i32 + 1)).sum())
}

/// `column op constant`, sides swapped if need be: the column, what the operator is to estimation, and
/// the constant if it is a literal.
pub fn column_against_constant(predicate: &Expr) -> Option<(ColumnId, Selectivity, Option<&Value>)> {
    let (operator, left, right) = predicate.as_operator()?;
    if let Some(column) = strip(left).as_column()
        && right.columns().is_empty()
        && !right.has_subquery()
    {
        return Some((column, operator.selectivity, right.as_literal()));
    }
    if let Some(column) = strip(right).as_column()
        && left.columns().is_empty()
        && !left.has_subquery()
    {
        let swapped = match operator.selectivity {
            Selectivity::Less => Selectivity::Greater,
            Selectivity::LessEqual => Selectivity::GreaterEqual,
            Selectivity::Greater => Selectivity::Less,
            Selectivity::GreaterEqual => Selectivity::LessEqual,
            same @ (Selectivity::Equal | Selectivity::NotEqual) => same,
            _ => return None,
        };
        return Some((column, swapped, left.as_literal()));
    }
    None
}

/// The expression under casts that change no value.
pub fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Relabel { arg, .. } => strip(arg),
        other => other,
    }
}

fn null_fraction(expr: &Expr, profile: &Profile) -> f64 {
    expr.columns()
        .iter()
        .filter_map(|id| profile.column(*id))
        .map(|column| column.null_fraction)
        .fold(0.0, f64::max)
}

/// Evaluates a predicate over one column on the column's known values.
fn by_sample(predicate: &Expr, profile: &Profile) -> Option<f64> {
    let (column, stats, values) = sample(predicate, profile)?;
    let results = evaluate(predicate, column, &values, profile)?;
    let holds = |index: usize| results.value(index) == Value::Bool(true);
    let common_count = stats.most_common.len();
    let mut fraction = 0.0;
    let mut common = 0.0;
    for (index, (_, share)) in stats.most_common.iter().enumerate() {
        common += share;
        if holds(index) {
            fraction += share;
        }
    }
    let sampled = values.len() - common_count;
    let rest = (1.0 - stats.null_fraction - common).max(0.0);
    if sampled > 0 {
        let hits = (common_count..values.len()).filter(|&index| holds(index)).count() as f64;
        // Between one hit in the sample and none there is a whole grid of truths.
        let share = (hits / sampled as f64).clamp(0.25 / sampled as f64, 1.0 - 0.25 / sampled as f64);
        fraction += rest * share;
    }
    Some(clamp(fraction))
}

/// Distinct results of an expression over one column, from the column's known values.
pub fn distinct_by_sample(expr: &Expr, profile: &Profile) -> Option<f64> {
    let (column, _, values) = sample(expr, profile)?;
    let results = evaluate(expr, column, &values, profile)?;
    let mut distinct: Vec<Value> = (0..values.len()).map(|index| results.value(index)).collect();
    distinct.sort();
    distinct.dedup();
    // Nearly as many results as values: as many as the column has.
    if distinct.len() * 2 > values.len() {
        let column = profile.column(column)?;
        return Some(column.distinct * distinct.len() as f64 / values.len() as f64);
    }
    Some(distinct.len() as f64)
}

fn sample<'p>(expr: &Expr, profile: &'p Profile) -> Option<(ColumnId, &'p catalog::ColumnStats, Vec<Value>)> {
    let columns = expr.columns();
    let [column] = columns.as_slice() else { return None };
    let stats = profile.column(*column)?.statistics()?;
    let values: Vec<Value> = stats
        .most_common
        .iter()
        .map(|(value, _)| value.clone())
        .chain(stats.histogram.iter().cloned())
        .collect();
    let mut known = expr.volatility() < expr::Volatility::Volatile;
    expr::walk::visit(expr, &mut |part| {
        known &= !matches!(part, Expr::Parameter { .. } | Expr::PlanParameter { .. } | Expr::Subquery(_));
    });
    (known && values.len() >= SMALLEST_SAMPLE.min(1 + stats.most_common.len() * SMALLEST_SAMPLE))
        .then_some((*column, stats, values))
}

fn evaluate(
    expr: &Expr,
    column: ColumnId,
    values: &[Value],
    profile: &Profile,
) -> Option<Arc<types::Vector>> {
    let physical: Physical = profile.column(column)?.data_type.physical;
    let mut builder = VectorBuilder::new(physical, values.len());
    values.iter().for_each(|value| builder.push(value));
    let mut over_input = expr.clone();
    expr::walk::replace(&mut over_input, &mut |part| match part {
        Expr::Column { data_type, .. } => Some(Expr::input(0, *data_type)),
        _ => None,
    });
    let batch = Batch::new(vec![Arc::new(builder.finish())], values.len());
    expr::eval(&over_input, &batch, &EvalContext::default()).ok()
}

fn clamp(fraction: f64) -> f64 {
    if fraction.is_nan() { DEFAULT_UNKNOWN } else { fraction.clamp(0.0, 1.0) }
}
