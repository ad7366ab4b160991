//! Plans that are the same whatever the values in them: point access by a whole unique key, and what needs no table.
//!
//! Asked by the session before it lifts the literals of a simple query out of its plan. Where a literal's value could
//! have made another plan the better one (ranges, skewed columns, LIKE prefixes), the answer is no.

use catalog::IndexDef;

use super::plan::{KeyRange, Node, Op, PhysicalPlan};

/// True when no literal or parameter could have changed the plan.
pub fn is_fixed(plan: &PhysicalPlan) -> bool {
    plan.sub_plans.is_empty() && plan.ctes.is_empty() && is_fixed_node(&plan.root)
}

fn is_fixed_node(node: &Node) -> bool {
    let own = match &node.op {
        Op::KeyScan(scan) => is_point(&scan.index, &scan.ranges),
        Op::IndexScan(scan) => is_point(&scan.index, &scan.ranges),
        Op::Values { .. }
        | Op::Result { .. }
        | Op::Filter { .. }
        | Op::Project { .. }
        | Op::Limit { .. }
        | Op::LockRows { .. }
        | Op::Sort { .. }
        | Op::TopN { .. }
        | Op::Aggregate(_)
        | Op::Insert(_)
        | Op::Update(_)
        | Op::Delete(_) => true,
        _ => false,
    };
    own && node.op.inputs().iter().all(|input| is_fixed_node(input))
}

/// One row at most for each range.
fn is_point(index: &IndexDef, ranges: &[KeyRange]) -> bool {
    index.unique && ranges.iter().all(|range| range.equals.len() == index.columns.len())
}
