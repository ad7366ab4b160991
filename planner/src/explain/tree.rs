//! The plan as PostgreSQL would show it: nodes with properties, formats left to `format.rs`.

use super::ExplainOptions;
use super::expression::{Names, parenthesized};
use crate::logical::{JoinKind, SetOpKind};
use crate::physical::plan::{
    Estimate, HashJoin, IndexJoin, KeyRange, NestedLoop, Node, NodeStats, Op, PhysicalPlan, SeqScan, SortKey,
    Strategy, SubPlan,
};
use expr::print::quote_identifier as identifier;

/// A node to show.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// JSON's `Node Type`.
    pub node_type: &'static str,
    /// What text calls it, `Hash Left Join` or `Index Scan using i on t`.
    pub label: String,
    /// `Outer`, `Inner`, `Member`, `Subquery`, `InitPlan`, `SubPlan`.
    pub relationship: Option<&'static str>,
    /// `InitPlan 1 (returns $0)`, `CTE x`.
    pub subplan_name: Option<String>,
    /// Identity (Join Type, Relation Name …): shown by JSON before the costs, by text in the label.
    pub identity: Vec<(&'static str, Value)>,
    pub estimate: Estimate,
    pub actual: Option<Actual>,
    /// Conditions, keys and counts, in order.
    pub properties: Vec<(String, Value)>,
    pub children: Vec<Shown>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Integer(u64),
    Bool(bool),
}

/// What a node did, over all its loops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actual {
    /// Milliseconds per loop; None for a part of an operator that has no clock of its own.
    pub times: Option<(f64, f64)>,
    pub rows: f64,
    pub loops: u64,
}

pub(super) struct Builder<'a> {
    plan: &'a PhysicalPlan,
    options: &'a ExplainOptions,
    stats: Option<&'a [NodeStats]>,
    /// More than one relation: columns are shown with their relation's name.
    qualify: bool,
    shown_sub_plans: Vec<bool>,
}

impl<'a> Builder<'a> {
    pub fn new(
        plan: &'a PhysicalPlan,
        options: &'a ExplainOptions,
        stats: Option<&'a [NodeStats]>,
    ) -> Builder<'a> {
        let mut relations = count_relations(&plan.root);
        relations += plan.ctes.iter().map(|cte| count_relations(&cte.node)).sum::<usize>();
        relations += plan.sub_plans.iter().map(|sub_plan| count_relations(&sub_plan.node)).sum::<usize>();
        Builder {
            plan,
            options,
            stats,
            qualify: relations > 1 || options.verbose,
            shown_sub_plans: vec![false; plan.sub_plans.len()],
        }
    }

    pub fn root(mut self) -> Shown {
        let mut shown = self.node(&self.plan.root, None);
        let mut first = Vec::new();
        for cte in &self.plan.ctes {
            let mut child = self.node(&cte.node, Some("InitPlan"));
            child.subplan_name = Some(format!("CTE {}", cte.name));
            first.push(child);
        }
        for (index, sub_plan) in self.plan.sub_plans.iter().enumerate() {
            if sub_plan.is_init_plan() {
                self.shown_sub_plans[index] = true;
                first.push(self.sub_plan(sub_plan, "InitPlan"));
            }
        }
        // A limit or sort made of one of ours keeps the init plans at the very top.
        shown.children.splice(0..0, first);
        shown
    }

    fn sub_plan(&mut self, sub_plan: &SubPlan, relationship: &'static str) -> Shown {
        let mut child = self.node(&sub_plan.node, Some(relationship));
        child.subplan_name = Some(sub_plan.label.clone());
        child
    }

    fn stats(&self, node: &Node) -> Option<&'a NodeStats> {
        self.stats.and_then(|stats| stats.get(node.id.0 as usize))
    }

    fn actual(&self, node: &Node) -> Option<Actual> {
        let stats = self.stats?.get(node.id.0 as usize).cloned().unwrap_or_default();
        let loops = stats.loops.max(1) as f64;
        Some(Actual {
            times: Some((stats.startup_ns as f64 / loops / 1.0e6, stats.total_ns as f64 / loops / 1.0e6)),
            rows: stats.rows as f64 / loops,
            loops: stats.loops,
        })
    }

    fn node(&mut self, node: &Node, relationship: Option<&'static str>) -> Shown {
        let mut shown = match &node.op {
            // PostgreSQL's nodes project by themselves.
            Op::Project { input, .. } => {
                let mut shown = self.node(input, relationship);
                shown.estimate.width = node.estimate.width;
                shown.estimate.total_cost = node.estimate.total_cost;
                if shown.actual.is_some() {
                    shown.actual = self.actual(node);
                }
                self.verbose_output(node, &mut shown);
                self.sub_plans_of(node, &mut shown);
                return shown;
            }
            // … and filter.
            Op::Filter { input, predicate } => {
                let mut shown = self.node(input, relationship);
                shown.estimate = node.estimate;
                shown.actual = self.actual(node);
                self.filter(&mut shown, "Filter", predicate, &|position| self.column(input, position));
                if let Some(stats) = self.stats(node) {
                    removed(&mut shown, "Rows Removed by Filter", stats.rows_removed_by_filter, stats.loops);
                }
                self.sub_plans_of(node, &mut shown);
                return shown;
            }
            op => self.operator(node, op),
        };
        shown.relationship = relationship;
        shown.estimate = node.estimate;
        shown.actual = self.actual(node);
        self.verbose_output(node, &mut shown);
        if let Some(stats) = self.stats(node) {
            for (key, value) in &stats.remarks {
                shown.properties.push((key.clone(), Value::Text(value.clone())));
            }
            removed(
                &mut shown,
                "Rows Removed by Join Filter",
                stats.rows_removed_by_join_filter,
                stats.loops,
            );
            removed(&mut shown, "Rows Removed by Filter", stats.rows_removed_by_filter, stats.loops);
            if self.options.buffers && (stats.pages_hit > 0 || stats.pages_read > 0) {
                shown.properties.push(("Shared Hit Blocks".to_string(), Value::Integer(stats.pages_hit)));
                shown.properties.push(("Shared Read Blocks".to_string(), Value::Integer(stats.pages_read)));
            }
        }
        self.sub_plans_of(node, &mut shown);
        shown
    }

    fn verbose_output(&self, node: &Node, shown: &mut Shown) {
        if self.options.verbose && !node.columns.is_empty() {
            let outputs = (0..node.columns.len()).map(|position| self.column(node, position)).collect();
            shown.properties.retain(|(key, _)| key != "Output");
            shown.properties.insert(0, ("Output".to_string(), Value::List(outputs)));
        }
    }

    /// Sub-plans that the node's own expressions run.
    fn sub_plans_of(&mut self, node: &Node, shown: &mut Shown) {
        let mut found = Vec::new();
        each_expr(&node.op, &mut |expr| {
            expr::walk::visit(expr, &mut |part| {
                if let expr::Expr::Subquery(subquery) = part {
                    found.push(subquery.id.0 as usize);
                }
            });
        });
        for index in found {
            if self.shown_sub_plans.get(index) == Some(&false) {
                self.shown_sub_plans[index] = true;
                let child = self.sub_plan(&self.plan.sub_plans[index], "SubPlan");
                shown.children.push(child);
            }
        }
    }

    fn operator(&mut self, node: &Node, op: &Op) -> Shown {
        match op {
            Op::SeqScan(scan) => {
                let mut shown = self.scan("Seq Scan", scan, None);
                let names = |position: usize| self.column(node, position);
                self.filter(&mut shown, "Filter", &scan.filter, &names);
                shown
            }
            Op::KeyScan(key_scan) => {
                let mut shown =
                    self.index_label("Index Scan", &key_scan.scan, &key_scan.index.name, key_scan.backward);
                self.ranges(&mut shown, &key_scan.ranges, &key_scan.scan, &key_scan.index.columns);
                let names = |position: usize| self.column(node, position);
                self.filter(&mut shown, "Filter", &key_scan.scan.filter, &names);
                shown
            }
            Op::IndexScan(index_scan) => {
                let node_type = if index_scan.index_only { "Index Only Scan" } else { "Index Scan" };
                let mut shown = self.index_label(
                    node_type,
                    &index_scan.scan,
                    &index_scan.index.name,
                    index_scan.backward,
                );
                self.ranges(&mut shown, &index_scan.ranges, &index_scan.scan, &index_scan.index.columns);
                let names = |position: usize| self.column(node, position);
                self.filter(&mut shown, "Filter", &index_scan.scan.filter, &names);
                shown
            }
            Op::VirtualScan { table, alias, filter, .. } => {
                let mut shown = Shown {
                    node_type: "Seq Scan",
                    label: format!("Seq Scan on {}", with_alias(table.name, alias)),
                    ..Shown::default()
                };
                shown.identity.push(("Relation Name", Value::Text(table.name.to_string())));
                shown.identity.push(("Alias", Value::Text(alias.clone())));
                self.filter(&mut shown, "Filter", filter, &|position| self.column(node, position));
                shown
            }
            Op::FunctionScan { call, alias, filter, .. } => {
                let mut shown = Shown {
                    node_type: "Function Scan",
                    label: format!("Function Scan on {}", with_alias(call.function.name, alias)),
                    ..Shown::default()
                };
                shown.identity.push(("Function Name", Value::Text(call.function.name.to_string())));
                shown.identity.push(("Alias", Value::Text(alias.clone())));
                self.filter(&mut shown, "Filter", filter, &|position| self.column(node, position));
                shown
            }
            Op::Values { .. } => Shown {
                node_type: "Values Scan",
                label: "Values Scan on \"*VALUES*\"".to_string(),
                identity: vec![("Alias", Value::Text("*VALUES*".to_string()))],
                ..Shown::default()
            },
            Op::Result { one_time_filter, input, .. } => {
                let mut shown = plain("Result");
                self.filter(&mut shown, "One-Time Filter", one_time_filter, &|_| String::new());
                if let Some(input) = input {
                    shown.children.push(self.node(input, Some("Outer")));
                }
                shown
            }
            Op::ProjectSet { input, .. } => self.over("ProjectSet", input),
            Op::HashJoin(join) => self.hash_join(join),
            Op::MergeJoin(join) => {
                let mut shown = join_label("Merge Join", "Merge", join.kind);
                let conditions: Vec<String> = join
                    .keys
                    .iter()
                    .map(|(a, b)| {
                        let left =
                            self.names(&|position| self.column(&join.left, position), |names| names.plain(a));
                        let right = self
                            .names(&|position| self.column(&join.right, position), |names| names.plain(b));
                        format!("({left} = {right})")
                    })
                    .collect();
                push_text(&mut shown, "Merge Cond", conjunction(conditions));
                let both = |position: usize| self.joined(&join.left, &join.right, position);
                self.filter(&mut shown, "Join Filter", &join.residual, &both);
                shown.children.push(self.node(&join.left, Some("Outer")));
                shown.children.push(self.node(&join.right, Some("Inner")));
                shown
            }
            Op::NestedLoop(join) => self.nested_loop(join),
            Op::IndexJoin(join) => self.index_join(node, join),
            Op::Aggregate(aggregate) => {
                let (label, strategy): (&'static str, &'static str) = match aggregate.strategy {
                    Strategy::Plain => ("Aggregate", "Plain"),
                    Strategy::Hashed if aggregate.grouping_sets.is_some() => ("MixedAggregate", "Mixed"),
                    Strategy::Hashed => ("HashAggregate", "Hashed"),
                    Strategy::Sorted => ("GroupAggregate", "Sorted"),
                };
                let mut shown = Shown {
                    node_type: "Aggregate",
                    label: label.to_string(),
                    identity: vec![
                        ("Strategy", Value::Text(strategy.to_string())),
                        ("Partial Mode", Value::Text("Simple".to_string())),
                    ],
                    ..Shown::default()
                };
                let input = |position: usize| self.column(&aggregate.input, position);
                let keys = self.names(&input, |names| names.list(&aggregate.groups));
                match &aggregate.grouping_sets {
                    None if keys.is_empty() => {}
                    None => shown.properties.push(("Group Key".to_string(), Value::List(keys))),
                    Some(sets) => {
                        for set in sets {
                            let of_set: Vec<String> =
                                set.iter().filter_map(|i| keys.get(*i).cloned()).collect();
                            let of_set = if of_set.is_empty() { vec!["()".to_string()] } else { of_set };
                            shown.properties.push(("Group Key".to_string(), Value::List(of_set)));
                        }
                    }
                }
                let own = |position: usize| self.own_column(node, position).0;
                self.filter(&mut shown, "Filter", &aggregate.having, &own);
                shown.children.push(self.node(&aggregate.input, Some("Outer")));
                shown
            }
            Op::Window { input, .. } => self.over("WindowAgg", input),
            Op::Sort { input, keys, presorted } => {
                let mut shown = self.over(if *presorted > 0 { "Incremental Sort" } else { "Sort" }, input);
                self.sort_keys(&mut shown, input, keys, *presorted);
                shown
            }
            Op::TopN { input, keys, .. } => {
                let mut shown = plain("Limit");
                let mut sort = self.over("Sort", input);
                self.sort_keys(&mut sort, input, keys, 0);
                sort.relationship = Some("Outer");
                sort.estimate = node.estimate;
                sort.estimate.rows = input.estimate.rows;
                sort.actual = self.actual(node);
                if let Some(stats) = self.stats(node)
                    && stats.remarks.is_empty()
                {
                    let size =
                        format!("top-N heapsort  Memory: {}kB", stats.memory_bytes.div_ceil(1024).max(25));
                    push_text(&mut sort, "Sort Method", Some(size));
                }
                shown.children.push(sort);
                shown
            }
            Op::Limit { input, .. } => self.over("Limit", input),
            Op::Distinct { input, keys, strategy } => {
                let mut shown = match strategy {
                    Strategy::Sorted => plain("Unique"),
                    _ => Shown {
                        node_type: "Aggregate",
                        label: "HashAggregate".to_string(),
                        identity: vec![
                            ("Strategy", Value::Text("Hashed".to_string())),
                            ("Partial Mode", Value::Text("Simple".to_string())),
                        ],
                        ..Shown::default()
                    },
                };
                if *strategy != Strategy::Sorted {
                    let of_input = |position: usize| self.column(input, position);
                    let list = match keys {
                        Some(keys) => self.names(&of_input, |names| names.list(keys)),
                        None => (0..input.columns.len()).map(of_input).collect(),
                    };
                    shown.properties.push(("Group Key".to_string(), Value::List(list)));
                }
                shown.children.push(self.node(input, Some("Outer")));
                shown
            }
            Op::Append { inputs } => {
                let mut shown = plain("Append");
                for input in inputs {
                    shown.children.push(self.node(input, Some("Member")));
                }
                shown
            }
            Op::SetOp { kind, all, left, right } => {
                let command = match (kind, all) {
                    (SetOpKind::Intersect, false) => "Intersect",
                    (SetOpKind::Intersect, true) => "Intersect All",
                    (SetOpKind::Except, false) => "Except",
                    (SetOpKind::Except, true) => "Except All",
                    (SetOpKind::Union, _) => "Union",
                };
                let mut shown = Shown {
                    node_type: "SetOp",
                    label: format!("HashSetOp {command}"),
                    identity: vec![
                        ("Strategy", Value::Text("Hashed".to_string())),
                        ("Command", Value::Text(command.to_string())),
                    ],
                    ..Shown::default()
                };
                shown.children.push(self.node(left, Some("Outer")));
                shown.children.push(self.node(right, Some("Inner")));
                shown
            }
            Op::CteScan { name, alias, filter, .. } => {
                let mut shown = Shown {
                    node_type: "CTE Scan",
                    label: format!("CTE Scan on {}", with_alias(name, alias)),
                    identity: vec![
                        ("CTE Name", Value::Text(name.clone())),
                        ("Alias", Value::Text(alias.clone())),
                    ],
                    ..Shown::default()
                };
                self.filter(&mut shown, "Filter", filter, &|position| self.column(node, position));
                shown
            }
            Op::WorkTableScan { name, filter, .. } => {
                let mut shown = Shown {
                    node_type: "WorkTable Scan",
                    label: format!("WorkTable Scan on {name}"),
                    identity: vec![
                        ("CTE Name", Value::Text(name.clone())),
                        ("Alias", Value::Text(name.clone())),
                    ],
                    ..Shown::default()
                };
                self.filter(&mut shown, "Filter", filter, &|position| self.column(node, position));
                shown
            }
            Op::RecursiveUnion { base, step, .. } => {
                let mut shown = plain("Recursive Union");
                shown.children.push(self.node(base, Some("Outer")));
                shown.children.push(self.node(step, Some("Inner")));
                shown
            }
            Op::LockRows { input, .. } => self.over("LockRows", input),
            Op::Insert(insert) => {
                let mut shown = modify("Insert", &insert.table.name);
                if let Some(conflict) = &insert.on_conflict {
                    let resolution = if conflict.update.is_some() { "UPDATE" } else { "NOTHING" };
                    push_text(&mut shown, "Conflict Resolution", Some(resolution.to_string()));
                    if !conflict.arbiters.is_empty() {
                        let names = conflict.arbiters.iter().map(|index| index.name.clone()).collect();
                        shown.properties.push(("Conflict Arbiter Indexes".to_string(), Value::List(names)));
                    }
                }
                shown.children.push(self.node(&insert.input, Some("Outer")));
                shown
            }
            Op::Update(update) => {
                let mut shown = modify("Update", &update.table.name);
                shown.children.push(self.node(&update.input, Some("Outer")));
                shown
            }
            Op::Delete(delete) => {
                let mut shown = modify("Delete", &delete.table.name);
                shown.children.push(self.node(&delete.input, Some("Outer")));
                shown
            }
            Op::Merge(merge) => {
                let mut shown = modify("Merge", &merge.table.name);
                shown.children.push(self.node(&merge.input, Some("Outer")));
                shown
            }
            Op::Project { input, .. } | Op::Filter { input, .. } => self.node(input, None),
        }
    }

    fn over(&mut self, node_type: &'static str, input: &Node) -> Shown {
        let mut shown = plain(node_type);
        shown.children.push(self.node(input, Some("Outer")));
        shown
    }

    fn scan(&self, node_type: &'static str, scan: &SeqScan, using: Option<&str>) -> Shown {
        let using = using.map(|index| format!(" using {}", identifier(index))).unwrap_or_default();
        let mut shown = Shown {
            node_type,
            label: format!("{node_type}{using} on {}", with_alias(&scan.table.name, &scan.alias)),
            ..Shown::default()
        };
        shown.identity.push(("Relation Name", Value::Text(scan.table.name.clone())));
        shown.identity.push(("Alias", Value::Text(scan.alias.clone())));
        shown
    }

    fn index_label(&self, node_type: &'static str, scan: &SeqScan, index: &str, backward: bool) -> Shown {
        let mut shown = self.scan(node_type, scan, Some(index));
        if backward {
            shown.label = shown.label.replacen(node_type, &format!("{node_type} Backward"), 1);
        }
        let direction = if backward { "Backward" } else { "Forward" };
        shown.identity.insert(0, ("Scan Direction", Value::Text(direction.to_string())));
        shown.identity.insert(1, ("Index Name", Value::Text(index.to_string())));
        shown
    }

    fn hash_join(&mut self, join: &HashJoin) -> Shown {
        let mut shown = join_label("Hash Join", "Hash", join.kind);
        let conditions: Vec<String> = join
            .keys
            .iter()
            .map(|(a, b)| {
                let left = self.names(&|position| self.column(&join.left, position), |names| names.plain(a));
                let right =
                    self.names(&|position| self.column(&join.right, position), |names| names.plain(b));
                format!("({left} = {right})")
            })
            .collect();
        push_text(&mut shown, "Hash Cond", conjunction(conditions));
        let both = |position: usize| self.joined(&join.left, &join.right, position);
        self.filter(&mut shown, "Join Filter", &join.residual, &both);
        shown.children.push(self.node(&join.left, Some("Outer")));
        let mut hash = plain("Hash");
        hash.relationship = Some("Inner");
        hash.estimate = join.right.estimate;
        hash.estimate.startup_cost = hash.estimate.total_cost;
        hash.actual = self
            .actual(&join.right)
            .map(|actual| Actual { times: actual.times.map(|(_, total)| (total, total)), ..actual });
        hash.children.push(self.node(&join.right, Some("Outer")));
        shown.children.push(hash);
        shown
    }

    fn nested_loop(&mut self, join: &NestedLoop) -> Shown {
        let mut shown = join_label("Nested Loop", "Nested Loop", join.kind);
        let both = |position: usize| self.joined(&join.left, &join.right, position);
        self.filter(&mut shown, "Join Filter", &join.condition, &both);
        shown.children.push(self.node(&join.left, Some("Outer")));
        shown.children.push(self.node(&join.right, Some("Inner")));
        shown
    }

    /// A nested loop over an index scan, as PostgreSQL has it.
    fn index_join(&mut self, node: &Node, join: &IndexJoin) -> Shown {
        let mut shown = join_label("Nested Loop", "Nested Loop", join.kind);
        let left_width = join.left.columns.len();
        let both = |position: usize| match position.checked_sub(left_width) {
            None => self.column(&join.left, position),
            Some(position) => self.scan_column(&join.inner, position),
        };
        self.filter(&mut shown, "Join Filter", &join.residual, &both);
        shown.children.push(self.node(&join.left, Some("Outer")));
        let (name, columns) = match &join.index {
            Some(index) => (index.name.clone(), Some(&index.columns)),
            None => {
                let index = join.inner.table.indexes.iter().find(|index| index.is_clustered);
                (
                    index.map_or_else(
                        || format!("{}_pkey", join.inner.table.name),
                        |index| index.name.clone(),
                    ),
                    index.map(|index| &index.columns),
                )
            }
        };
        let mut inner = self.index_label("Index Scan", &join.inner, &name, false);
        inner.relationship = Some("Inner");
        let conditions: Vec<String> = join
            .keys
            .iter()
            .enumerate()
            .map(|(position, key)| {
                let column = columns
                    .and_then(|columns| columns.get(position))
                    .and_then(|column| column.column)
                    .map_or_else(|| "key".to_string(), |ordinal| self.unqualified(&join.inner, ordinal));
                let value =
                    self.names(&|position| self.column(&join.left, position), |names| names.plain(key));
                format!("({column} = {value})")
            })
            .collect();
        push_text(&mut inner, "Index Cond", conjunction(conditions));
        let of_inner = |position: usize| self.scan_column(&join.inner, position);
        self.filter(&mut inner, "Filter", &join.inner.filter, &of_inner);
        let loops = join.left.estimate.rows.max(1.0);
        let per_loop = (node.estimate.total_cost - join.left.estimate.total_cost).max(0.0) / loops;
        inner.estimate = Estimate {
            startup_cost: 0.0,
            total_cost: per_loop,
            rows: (node.estimate.rows / loops).round().max(1.0),
            width: node.estimate.width.saturating_sub(join.left.estimate.width),
        };
        if let (Some(stats), Some(left)) = (self.stats(node), self.stats(&join.left)) {
            let loops = left.rows;
            inner.actual = Some(Actual { times: None, rows: stats.rows as f64 / loops.max(1) as f64, loops });
        }
        shown.children.push(inner);
        shown
    }

    fn sort_keys(&self, shown: &mut Shown, input: &Node, keys: &[SortKey], presorted: usize) {
        let of_input = |position: usize| self.column(input, position);
        let list: Vec<String> =
            self.names(&of_input, |names| keys.iter().map(|key| names.sort_key(key)).collect());
        let first = list.iter().take(presorted).cloned().collect::<Vec<_>>();
        shown.properties.push(("Sort Key".to_string(), Value::List(list)));
        if presorted > 0 {
            shown.properties.push(("Presorted Key".to_string(), Value::List(first)));
        }
    }

    fn ranges(
        &self,
        shown: &mut Shown,
        ranges: &[KeyRange],
        scan: &SeqScan,
        columns: &[catalog::IndexColumn],
    ) {
        let column = |position: usize| {
            columns
                .get(position)
                .and_then(|column| column.column)
                .map_or_else(|| "key".to_string(), |ordinal| self.unqualified(scan, ordinal))
        };
        let none = |_: usize| String::new();
        let value = |expr: &expr::Expr| self.names(&none, |names| names.plain(expr));
        let Some(first) = ranges.first() else {
            push_text(shown, "Index Cond", Some("false".to_string()));
            return;
        };
        let mut conditions = Vec::new();
        for (position, _) in first.equals.iter().enumerate() {
            let mut values: Vec<String> = Vec::new();
            for range in ranges {
                let text = range.equals.get(position).map(value).unwrap_or_default();
                if !values.contains(&text) {
                    values.push(text);
                }
            }
            match values.as_slice() {
                [one] => conditions.push(format!("({} = {one})", column(position))),
                many => conditions.push(format!("({} = ANY (ARRAY[{}]))", column(position), many.join(", "))),
            }
        }
        let next = column(first.equals.len());
        if let Some((bound, inclusive)) = &first.lower {
            conditions.push(format!("({next} {} {})", if *inclusive { ">=" } else { ">" }, value(bound)));
        }
        if let Some((bound, inclusive)) = &first.upper {
            conditions.push(format!("({next} {} {})", if *inclusive { "<=" } else { "<" }, value(bound)));
        }
        if first.is_null {
            conditions.push(format!("({next} IS NULL)"));
        }
        push_text(shown, "Index Cond", conjunction(conditions));
    }

    fn filter(
        &self,
        shown: &mut Shown,
        key: &'static str,
        predicate: &[expr::Expr],
        input: &dyn Fn(usize) -> String,
    ) {
        if !predicate.is_empty() {
            let text = self.names(input, |names| names.condition(predicate));
            push_text(shown, key, Some(text));
        }
    }

    fn names<T>(&self, input: &dyn Fn(usize) -> String, f: impl FnOnce(&Names<'_>) -> T) -> T {
        let sub_plan = |index: u32| {
            self.plan
                .sub_plans
                .get(index as usize)
                .map_or_else(|| "SubPlan".to_string(), |sub_plan| sub_plan.label.clone())
        };
        f(&Names { input, sub_plan: &sub_plan })
    }

    /// A table's column, with its relation where there are several.
    fn scan_column(&self, scan: &SeqScan, position: usize) -> String {
        match scan.columns.get(position) {
            Some(ordinal) if self.qualify => {
                format!("{}.{}", identifier(&scan.alias), self.unqualified(scan, *ordinal))
            }
            Some(ordinal) => self.unqualified(scan, *ordinal),
            None if self.qualify => format!("{}.ctid", identifier(&scan.alias)),
            None => "ctid".to_string(),
        }
    }

    fn unqualified(&self, scan: &SeqScan, ordinal: usize) -> String {
        scan.table.columns.get(ordinal).map_or_else(|| "?".to_string(), |column| identifier(&column.name))
    }

    fn joined(&self, left: &Node, right: &Node, position: usize) -> String {
        match position.checked_sub(left.columns.len()) {
            None => self.column(left, position),
            Some(position) => self.column(right, position),
        }
    }

    /// How an output column of `node` is named above it: what is computed stands in parentheses.
    fn column(&self, node: &Node, position: usize) -> String {
        let (text, is_plain) = self.own_column(node, position);
        if is_plain { text } else { parenthesized(text) }
    }

    /// An output column by what it is computed from, and whether it is a plain column.
    fn own_column(&self, node: &Node, position: usize) -> (String, bool) {
        let named = || {
            let name = node.columns.get(position).map_or("?", |column| column.name.as_str());
            (if self.qualify { name.to_string() } else { last_part(name).to_string() }, true)
        };
        match &node.op {
            Op::SeqScan(scan) => (self.scan_column(scan, position), true),
            Op::KeyScan(key_scan) => (self.scan_column(&key_scan.scan, position), true),
            Op::IndexScan(index_scan) => (self.scan_column(&index_scan.scan, position), true),
            Op::Filter { input, .. }
            | Op::Sort { input, .. }
            | Op::TopN { input, .. }
            | Op::Limit { input, .. }
            | Op::Distinct { input, .. }
            | Op::LockRows { input, .. } => self.own_column(input, position),
            Op::Project { input, exprs } => match exprs.get(position) {
                Some(expr::Expr::Input { position, .. }) => self.own_column(input, *position),
                Some(expr) => (self.names(&|p| self.column(input, p), |names| names.plain(expr)), false),
                None => named(),
            },
            Op::Result { exprs, input, .. } => match (exprs.get(position), input) {
                (Some(expr::Expr::Input { position, .. }), Some(input)) => self.own_column(input, *position),
                (Some(expr), None) => (self.names(&|_| String::new(), |names| names.plain(expr)), false),
                _ => named(),
            },
            Op::HashJoin(join) => {
                let position = match &join.projection {
                    Some(kept) => kept.get(position).copied().unwrap_or(position),
                    None => position,
                };
                match join.kind {
                    JoinKind::RightSemi | JoinKind::RightAnti => self.own_column(&join.right, position),
                    JoinKind::Mark if position >= join.left.columns.len() => ("mark".to_string(), true),
                    _ => self.own_joined(&join.left, &join.right, position),
                }
            }
            Op::MergeJoin(join) => self.own_joined(&join.left, &join.right, position),
            Op::NestedLoop(join) => match join.kind {
                JoinKind::Mark if position >= join.left.columns.len() => ("mark".to_string(), true),
                _ => self.own_joined(&join.left, &join.right, position),
            },
            Op::IndexJoin(join) => match position.checked_sub(join.left.columns.len()) {
                None => self.own_column(&join.left, position),
                Some(position) => (self.scan_column(&join.inner, position), true),
            },
            Op::Aggregate(aggregate) => {
                let groups = aggregate.groups.len();
                let input = |position: usize| self.column(&aggregate.input, position);
                if let Some(group) = aggregate.groups.get(position) {
                    return match group {
                        expr::Expr::Input { position, .. } => self.own_column(&aggregate.input, *position),
                        group => (self.names(&input, |names| names.plain(group)), false),
                    };
                }
                match aggregate.calls.get(position.wrapping_sub(groups + aggregate.grouping_calls.len())) {
                    Some(call) => (self.names(&input, |names| names.aggregate(call)), false),
                    None => ("GROUPING()".to_string(), false),
                }
            }
            Op::Window { input, calls, .. } => match position.checked_sub(input.columns.len()) {
                None => self.own_column(input, position),
                Some(call) => match calls.get(call) {
                    Some(call) => (self.names(&|p| self.column(input, p), |names| names.window(call)), false),
                    None => named(),
                },
            },
            Op::ProjectSet { input, .. } if position < input.columns.len() => {
                self.own_column(input, position)
            }
            _ => named(),
        }
    }

    fn own_joined(&self, left: &Node, right: &Node, position: usize) -> (String, bool) {
        match position.checked_sub(left.columns.len()) {
            None => self.own_column(left, position),
            Some(position) => self.own_column(right, position),
        }
    }
}

fn plain(node_type: &'static str) -> Shown {
    Shown { node_type, label: node_type.to_string(), ..Shown::default() }
}

fn modify(operation: &str, table: &str) -> Shown {
    Shown {
        node_type: "ModifyTable",
        label: format!("{operation} on {}", identifier(table)),
        identity: vec![
            ("Operation", Value::Text(operation.to_string())),
            ("Relation Name", Value::Text(table.to_string())),
            ("Alias", Value::Text(table.to_string())),
        ],
        ..Shown::default()
    }
}

/// `Hash Join`, `Hash Left Join`, `Nested Loop Semi Join`.
fn join_label(node_type: &'static str, stem: &str, kind: JoinKind) -> Shown {
    let (kind_name, ours) = match kind {
        JoinKind::Inner => ("Inner", None),
        JoinKind::Left => ("Left", None),
        JoinKind::Right => ("Right", None),
        JoinKind::Full => ("Full", None),
        JoinKind::Semi => ("Semi", None),
        JoinKind::Anti => ("Anti", None),
        JoinKind::RightSemi => ("Right Semi", None),
        JoinKind::RightAnti => ("Right Anti", None),
        JoinKind::NullAwareAnti => ("Anti", Some("Cairn Null Aware")),
        JoinKind::Mark => ("Mark", None),
        JoinKind::Single => ("Left", Some("Cairn Single Row")),
    };
    let label =
        if kind == JoinKind::Inner { node_type.to_string() } else { format!("{stem} {kind_name} Join") };
    let mut shown = Shown { node_type, label, ..Shown::default() };
    shown.identity.push(("Join Type", Value::Text(kind_name.to_string())));
    if let Some(ours) = ours {
        shown.identity.push((ours, Value::Bool(true)));
    }
    shown
}

fn push_text(shown: &mut Shown, key: &str, text: Option<String>) {
    if let Some(text) = text {
        shown.properties.push((key.to_string(), Value::Text(text)));
    }
}

fn conjunction(conditions: Vec<String>) -> Option<String> {
    match conditions.len() {
        0 => None,
        1 => conditions.into_iter().next(),
        _ => Some(format!("({})", conditions.join(" AND "))),
    }
}

fn removed(shown: &mut Shown, key: &str, rows: u64, loops: u64) {
    if rows > 0 {
        shown.properties.push((key.to_string(), Value::Integer(rows.div_ceil(loops.max(1)))));
    }
}

fn with_alias(name: &str, alias: &str) -> String {
    if alias.is_empty() || alias == name {
        identifier(name)
    } else {
        format!("{} {}", identifier(name), identifier(alias))
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn count_relations(node: &Node) -> usize {
    let here = match &node.op {
        Op::SeqScan(_)
        | Op::KeyScan(_)
        | Op::IndexScan(_)
        | Op::VirtualScan { .. }
        | Op::FunctionScan { .. }
        | Op::CteScan { .. }
        | Op::WorkTableScan { .. }
        | Op::Values { .. }
        | Op::IndexJoin(_) => 1,
        _ => 0,
    };
    here + node.op.inputs().into_iter().map(|input| count_relations(input)).sum::<usize>()
}

/// The expressions of a node that may hold sub-plans.
fn each_expr(op: &Op, f: &mut dyn FnMut(&expr::Expr)) {
    match op {
        Op::SeqScan(scan) => scan.filter.iter().for_each(f),
        Op::KeyScan(scan) => scan.scan.filter.iter().for_each(f),
        Op::IndexScan(scan) => scan.scan.filter.iter().for_each(f),
        Op::VirtualScan { filter, .. } | Op::CteScan { filter, .. } | Op::WorkTableScan { filter, .. } => {
            filter.iter().for_each(f);
        }
        Op::FunctionScan { call, filter, .. } => call.args.iter().chain(filter).for_each(f),
        Op::Values { rows } => rows.iter().flatten().for_each(f),
        Op::Result { exprs, one_time_filter, .. } => exprs.iter().chain(one_time_filter).for_each(f),
        Op::Filter { predicate, .. } => predicate.iter().for_each(f),
        Op::Project { exprs, .. } => exprs.iter().for_each(f),
        Op::ProjectSet { calls, .. } => calls.iter().flat_map(|call| &call.args).for_each(f),
        Op::HashJoin(join) => join.residual.iter().for_each(f),
        Op::MergeJoin(join) => join.residual.iter().for_each(f),
        Op::NestedLoop(join) => join.condition.iter().for_each(f),
        Op::IndexJoin(join) => join.residual.iter().chain(&join.inner.filter).for_each(f),
        Op::Aggregate(aggregate) => {
            aggregate.groups.iter().chain(&aggregate.having).for_each(&mut *f);
            aggregate.calls.iter().flat_map(|call| call.args.iter().chain(&call.filter)).for_each(f);
        }
        Op::Window { calls, .. } => calls.iter().flat_map(|call| &call.args).for_each(f),
        Op::Sort { keys, .. } | Op::TopN { keys, .. } => keys.iter().for_each(|key| f(&key.expr)),
        Op::Insert(insert) => insert.returning.iter().flatten().for_each(f),
        Op::Update(update) => update.returning.iter().flatten().for_each(f),
        Op::Delete(delete) => delete.returning.iter().flatten().for_each(f),
        Op::Merge(merge) => merge.each_expr(f),
        Op::Limit { .. }
        | Op::Distinct { .. }
        | Op::Append { .. }
        | Op::SetOp { .. }
        | Op::RecursiveUnion { .. }
        | Op::LockRows { .. } => {}
    }
}
