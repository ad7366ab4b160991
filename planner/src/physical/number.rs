//! Numbers the nodes of a finished plan in the order EXPLAIN prints them.

use std::sync::Arc;

use super::plan::{Node, NodeId, Op, PhysicalPlan};

/// Gives every node its id: CTEs and init plans come right after the root, a sub-plan after the
/// inputs of the node whose expression reads it.
pub(super) fn number(plan: &mut PhysicalPlan) {
    let mut next = 0;
    let mut done = vec![false; plan.sub_plans.len()];
    let mut root = std::mem::replace(&mut plan.root, placeholder());
    set(&mut root, &mut next);
    for cte in &mut plan.ctes {
        number_node(&mut cte.node, &mut next);
    }
    for (sub_plan, done) in plan.sub_plans.iter_mut().zip(&mut done) {
        if sub_plan.is_init_plan() {
            number_node(&mut sub_plan.node, &mut next);
            *done = true;
        }
    }
    number_inputs(&mut root, &mut next);
    for (sub_plan, done) in plan.sub_plans.iter_mut().zip(&done) {
        if !done {
            number_node(&mut sub_plan.node, &mut next);
        }
    }
    plan.root = root;
}

fn placeholder() -> Arc<Node> {
    Arc::new(Node {
        id: NodeId(0),
        op: Op::Values { rows: Vec::new() },
        columns: Vec::new(),
        estimate: super::plan::Estimate::default(),
    })
}

fn number_node(node: &mut Arc<Node>, next: &mut u32) {
    set(node, next);
    number_inputs(node, next);
}

fn set(node: &mut Arc<Node>, next: &mut u32) {
    let node = Arc::get_mut(node).expect("a plan under construction is not shared");
    node.id = NodeId(*next);
    *next += 1;
}

fn number_inputs(node: &mut Arc<Node>, next: &mut u32) {
    let node = Arc::get_mut(node).expect("a plan under construction is not shared");
    for input in node.op.inputs_mut() {
        number_node(input, next);
    }
}
