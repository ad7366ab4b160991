//! LockRows: SELECT … FOR UPDATE and its kin.
//!
//! A row that another transaction has changed since the snapshot (READ COMMITTED) asks for the statement
//! to be run again: its locks stay, and the next run sees the new version.
//!
//! Below a Limit no more rows are locked than it takes: of two workers that each take the first unlocked row
//! of a queue, the second must find one.

use std::sync::Arc;

use planner::physical::plan::{LockStrength, LockWait, Node, Op};
use storage::{LockOutcome, RowLock, TreeId};
use types::{Batch, Error, Result, SqlState};

use crate::context::ExecContext;
use crate::dml::restart;
use crate::dml::update::key_at;
use crate::operator::{BoxOperator, Operator};
use crate::ops::limit::counts;

pub struct LockRows {
    node: Arc<Node>,
    input: BoxOperator,
    /// The Limit above, until it has said how many rows it takes.
    limit: Option<Arc<Node>>,
    /// Rows still to be locked; `None`: all.
    left: Option<u64>,
}

impl LockRows {
    pub fn new(node: &Arc<Node>, input: BoxOperator, limit: Option<Arc<Node>>) -> LockRows {
        LockRows { node: node.clone(), input, limit, left: None }
    }
}

impl Operator for LockRows {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::LockRows { targets, .. } = &self.node.op else {
            return Err(Error::internal("locks no rows"));
        };
        if let Some(limit) = self.limit.take() {
            let (skip, take) = counts(&limit, cx)?;
            self.left = take.map(|take| take.saturating_add(skip));
        }
        while self.left != Some(0)
            && let Some(batch) = self.input.next(cx)?
        {
            cx.check_interrupt()?;
            let mut kept = Vec::with_capacity(batch.len());
            'rows: for row in 0..batch.len() {
                if self.left == Some(0) {
                    break;
                }
                for target in targets {
                    let keys = batch.column(target.row_key);
                    if keys.is_null(row) {
                        continue; // the empty side of an outer join
                    }
                    let strength = match target.strength {
                        LockStrength::KeyShare => RowLock::KeyShare,
                        LockStrength::Share => RowLock::Share,
                        LockStrength::NoKeyUpdate => RowLock::NoKeyUpdate,
                        LockStrength::Update => RowLock::Update,
                    };
                    let tree = TreeId(target.table.tree.0);
                    let wait = target.wait == LockWait::Block;
                    match cx.transaction().lock(tree, key_at(keys, row)?, strength, wait, |_| ())? {
                        LockOutcome::Locked => {}
                        LockOutcome::LockedNewer => return Err(restart()),
                        LockOutcome::Missing => continue 'rows,
                        LockOutcome::WouldBlock if target.wait == LockWait::SkipLocked => continue 'rows,
                        LockOutcome::WouldBlock => {
                            let name = &target.table.name;
                            let message = format!("could not obtain lock on row in relation \"{name}\"");
                            return Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, message));
                        }
                    }
                }
                kept.push(row as u32);
                self.left = self.left.map(|left| left - 1);
            }
            if kept.len() == batch.len() {
                return Ok(Some(batch));
            }
            if !kept.is_empty() {
                return Ok(Some(batch.gather(&kept)));
            }
        }
        Ok(None)
    }
}
