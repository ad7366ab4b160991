//! MERGE: the data source joined to the target, and what becomes of each row.
//!
//! What a clause may name follows `parse_merge.c`: a matched one both relations, an unmatched one the data
//! source alone. The executor takes the first clause whose condition holds.

use catalog::Relation;
use catalog::acl::Rights;
use expr::Expr;
use parser::ast::{self, SelectBody};
use types::{Error, Result, SqlState};

use super::Binder;
use super::dml::{BoundChange, as_exprs};
use super::from::alias_name;
use super::scope::{Clause, Item};
use crate::logical::{Join, JoinKind, LogicalPlan, Merge, MergeAction, MergeWhen};

impl Binder<'_> {
    pub(super) fn merge(&mut self, merge: &ast::MergeStmt) -> Result<BoundChange> {
        self.in_level(|binder| binder.merge_here(merge))
    }

    fn merge_here(&mut self, merge: &ast::MergeStmt) -> Result<BoundChange> {
        if merge.with.as_ref().is_some_and(|with| with.recursive) {
            return Err(Error::syntax("WITH RECURSIVE is not supported for MERGE statement"));
        }
        let pending = self.with_clause(merge.with.as_deref())?;
        check_reachable(&merge.whens)?;
        if let relation @ (Relation::View(_) | Relation::Sequence(_) | Relation::Virtual(_)) =
            self.find_relation(&merge.relation)?
        {
            let error = Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot execute MERGE on relation \"{}\"", relation.name()),
            );
            return Err(error
                .with_detail(format!("This operation is not supported for {}s.", relation.kind_name()))
                .at(merge.relation.span));
        }
        let mut rights = Rights::NONE;
        for when in &merge.whens {
            rights = rights.or(match &when.action {
                ast::MergeAction::DoNothing => Rights::NONE,
                ast::MergeAction::Delete => Rights::DELETE,
                ast::MergeAction::Update(_) => Rights::UPDATE,
                ast::MergeAction::Insert { .. } => Rights::INSERT,
            });
        }
        let table = self.target_table(&merge.relation, "merge into", rights)?;
        let target = self.table(&table, &merge.relation, true)?;
        let (row_key, old) = match &target.plan {
            LogicalPlan::Scan(scan) => (scan.row_key, scan.columns.clone()),
            _ => (None, Vec::new()),
        };
        let row_key = row_key.ok_or_else(|| Error::internal("target scan without a row key"))?;
        let source = self.table_ref(&merge.source)?;
        let name = alias_name(&merge.relation);
        if source.items.iter().any(|item| item.relation_visible && item.name == name) {
            return Err(Error::new(
                SqlState::DUPLICATE_ALIAS,
                format!("name \"{name}\" specified more than once"),
            )
            .with_detail("The name is used both as MERGE target table and data source."));
        }
        let sources: Vec<Item> = source.items.iter().cloned().map(visible).collect();
        let both: Vec<Item> = target.items.iter().cloned().map(visible).chain(sources.clone()).collect();
        self.level().items.clone_from(&both);
        let on = self.condition(&merge.on, Clause::JoinOn)?.into_conjuncts();
        let mut whens = Vec::with_capacity(merge.whens.len());
        for when in &merge.whens {
            self.level().items.clone_from(if when.matched { &both } else { &sources });
            let condition = match &when.condition {
                Some(condition) => {
                    let bound = self.clause_expr(condition, Clause::MergeWhen)?;
                    self.coercer.boolean(bound, "WHEN", condition.start_span())?.into_conjuncts()
                }
                None => Vec::new(),
            };
            let action = match &when.action {
                ast::MergeAction::DoNothing => MergeAction::DoNothing,
                ast::MergeAction::Delete => MergeAction::Delete,
                ast::MergeAction::Update(set) => {
                    let assigned = self.assignments(&table, set)?;
                    if !assigned.joins.is_empty() {
                        return Err(Error::not_supported("a sub-select for several columns in MERGE")
                            .with_hint("Use one sub-select for each column.")
                            .at(when.span));
                    }
                    MergeAction::Update(assigned.values)
                }
                ast::MergeAction::Insert { columns, overriding, values } => {
                    let insert = as_insert(merge, columns, *overriding, values.as_deref());
                    let targets = self.insert_targets(&table, &insert)?;
                    let rows = [values.clone().unwrap_or_default()];
                    match self.value_rows(&table, &targets, &insert, &rows)? {
                        LogicalPlan::Values { mut rows, .. } => {
                            MergeAction::Insert(rows.pop().unwrap_or_default())
                        }
                        _ => return Err(Error::internal("values that are none")),
                    }
                }
            };
            whens.push(MergeWhen { matched: when.matched, condition, action });
        }
        let row = self.row_columns(&table, &name);
        let exprs = as_exprs(&row, &table);
        let checks = self.checks(&table, &exprs)?;
        let mut generated: Vec<(usize, Expr)> = Vec::new();
        for (ordinal, column) in table.live_columns().filter(|(_, column)| column.generated) {
            generated.push((ordinal, self.generated_value(&table, column, &exprs)?));
        }
        let keeps_unmatched = whens.iter().any(|when| !when.matched);
        let joined = LogicalPlan::Join(Join {
            kind: if keeps_unmatched { JoinKind::Left } else { JoinKind::Inner },
            left: Box::new(source.plan),
            right: Box::new(target.plan),
            on,
            mark: None,
            dependent: false,
        });
        let plan = LogicalPlan::Merge(Merge {
            table,
            source: Box::new(joined),
            row_key,
            old,
            whens,
            generated,
            checks,
            row,
        });
        Ok(BoundChange { plan: self.wrap_with(pending, plan), columns: Vec::new() })
    }
}

/// 42601 for a clause behind one of its kind that has no condition.
fn check_reachable(whens: &[ast::MergeWhen]) -> Result<()> {
    let mut decided = [false; 2];
    for when in whens {
        let decided = &mut decided[usize::from(when.matched)];
        if *decided {
            return Err(Error::syntax("unreachable WHEN clause specified after unconditional WHEN clause"));
        }
        *decided |= when.condition.is_none();
    }
    Ok(())
}

fn visible(item: Item) -> Item {
    Item { lateral_only: false, lateral_ok: true, ..item }
}

/// The INSERT that a clause stands for.
fn as_insert(
    merge: &ast::MergeStmt,
    columns: &[ast::ColumnTarget],
    overriding: ast::Overriding,
    values: Option<&[ast::Expr]>,
) -> ast::InsertStmt {
    let source = values.map(|values| ast::SelectStmt {
        with: None,
        body: SelectBody::Values(vec![values.to_vec()]),
        order_by: Vec::new(),
        limit: None,
        offset: None,
        with_ties: false,
        locking: Vec::new(),
        span: merge.span,
    });
    ast::InsertStmt {
        with: None,
        relation: merge.relation.clone(),
        columns: columns.to_vec(),
        overriding,
        source,
        on_conflict: None,
        returning: Vec::new(),
        span: merge.span,
    }
}
