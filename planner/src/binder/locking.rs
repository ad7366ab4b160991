//! FOR UPDATE and its like: which scans lock their rows, and where that is not allowed.

use catalog::acl::Rights;
use parser::ast::{self, SelectCore, SelectStmt};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::scope::Level;
use crate::logical::{LockTarget, LogicalPlan};

impl Binder<'_> {
    pub(super) fn refuse_locking(
        &self,
        core: &SelectCore,
        select: &SelectStmt,
        grouped: bool,
        level: &Level,
    ) -> Result<()> {
        let Some(locking) = select.locking.first() else { return Ok(()) };
        let with = if core.distinct.is_some() {
            "DISTINCT clause"
        } else if !core.group_by.is_empty() {
            "GROUP BY clause"
        } else if core.having.is_some() {
            "HAVING clause"
        } else if grouped {
            "aggregate functions"
        } else if !level.windows.is_empty() {
            "window functions"
        } else if !level.set_calls.is_empty() {
            "set-returning functions in the target list"
        } else {
            return Ok(());
        };
        Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{} is not allowed with {with}", lock_name(locking.strength)),
        ))
    }

    /// The scans that FOR UPDATE and its like lock; each gets a row key.
    pub(super) fn lock_targets(
        &mut self,
        select: &SelectStmt,
        plan: &mut LogicalPlan,
    ) -> Result<Vec<LockTarget>> {
        let mut targets: Vec<LockTarget> = Vec::new();
        for locking in &select.locking {
            let mut wanted: Vec<(String, Span)> = Vec::new();
            for range in &locking.tables {
                if range.schema.is_some() {
                    return Err(Error::syntax(format!(
                        "{} must specify unqualified relation names",
                        lock_name(locking.strength)
                    ))
                    .at(range.span));
                }
                wanted.push((range.name.clone(), range.span));
            }
            let relations: Vec<(String, bool)> = self
                .level()
                .relations
                .iter()
                .map(|entry| (entry.name.clone(), entry.table.is_some()))
                .collect();
            for (name, span) in &wanted {
                match relations.iter().find(|(known, _)| known == name) {
                    Some((_, true)) => {}
                    Some((_, false)) => {
                        return Err(Error::not_supported(format!(
                            "{} of \"{name}\", which is not a table,",
                            lock_name(locking.strength)
                        ))
                        .at(*span));
                    }
                    None => {
                        return Err(Error::new(
                            SqlState::UNDEFINED_TABLE,
                            format!(
                                "relation \"{name}\" in {} clause not found in FROM clause",
                                lock_name(locking.strength)
                            ),
                        )
                        .at(*span));
                    }
                }
            }
            if wanted.is_empty()
                && let Some((name, _)) = relations.iter().find(|(_, is_table)| !is_table)
            {
                return Err(Error::not_supported(format!(
                    "{} with \"{name}\", which is not a table,",
                    lock_name(locking.strength)
                ))
                .with_hint("Name the tables to lock with OF.")
                .at(locking.span));
            }
            let aliases: Vec<String> = if wanted.is_empty() {
                relations.into_iter().map(|(name, _)| name).collect()
            } else {
                wanted.into_iter().map(|(name, _)| name).collect()
            };
            for alias in aliases {
                let Some(scan) = find_scan(plan, &alias) else { continue };
                let row_key = match scan.row_key {
                    Some(id) => id,
                    None => {
                        let id = self.columns.add(crate::logical::ColumnEntry {
                            name: "row key".to_string(),
                            relation: alias.clone(),
                            data_type: DataType::BYTEA,
                            source: None,
                        });
                        scan.row_key = Some(id);
                        id
                    }
                };
                let strength = match locking.strength {
                    ast::LockStrength::KeyShare => crate::logical::LockStrength::KeyShare,
                    ast::LockStrength::Share => crate::logical::LockStrength::Share,
                    ast::LockStrength::NoKeyUpdate => crate::logical::LockStrength::NoKeyUpdate,
                    ast::LockStrength::Update => crate::logical::LockStrength::Update,
                };
                let wait = match locking.wait {
                    ast::LockWait::Wait => crate::logical::LockWait::Block,
                    ast::LockWait::NoWait => crate::logical::LockWait::NoWait,
                    ast::LockWait::SkipLocked => crate::logical::LockWait::SkipLocked,
                };
                let table = std::sync::Arc::clone(&scan.table);
                self.note_columns(&table, Rights::UPDATE, &[]);
                if targets.iter().all(|target| target.row_key != row_key) {
                    targets.push(LockTarget { table, row_key, strength, wait });
                }
            }
        }
        Ok(targets)
    }
}

/// The scan of `alias` among the joins and filters of a FROM clause.
fn find_scan<'p>(plan: &'p mut LogicalPlan, alias: &str) -> Option<&'p mut crate::logical::Scan> {
    match plan {
        LogicalPlan::Scan(scan) if scan.alias == alias => Some(scan),
        LogicalPlan::Filter { input, .. } => find_scan(input, alias),
        LogicalPlan::Join(join) => match find_scan(&mut join.left, alias) {
            Some(scan) => Some(scan),
            None => find_scan(&mut join.right, alias),
        },
        _ => None,
    }
}

pub(super) fn lock_name(strength: ast::LockStrength) -> &'static str {
    match strength {
        ast::LockStrength::KeyShare => "FOR KEY SHARE",
        ast::LockStrength::Share => "FOR SHARE",
        ast::LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        ast::LockStrength::Update => "FOR UPDATE",
    }
}
