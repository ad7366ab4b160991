//! System views: rows computed from the catalog and the running server.

use std::sync::Arc;

use catalog::SystemContext;
use planner::physical::plan::{Node, Op};
use types::{BATCH_SIZE, Batch, Error, Result, VectorBuilder};

use crate::context::ExecContext;
use crate::operator::Operator;

pub struct VirtualScan {
    node: Arc<Node>,
    /// Rows made but not yet handed over, as one batch and a position in it.
    rows: Option<(Batch, usize)>,
}

impl VirtualScan {
    pub fn new(node: &Arc<Node>) -> VirtualScan {
        VirtualScan { node: node.clone(), rows: None }
    }
}

impl Operator for VirtualScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::VirtualScan { table, columns, filter, .. } = &self.node.op else {
            return Err(Error::internal("not a scan of a system view"));
        };
        if self.rows.is_none() {
            let environment = cx.environment();
            let context = SystemContext { catalog: &environment.catalog, runtime: &*environment.runtime };
            let rows = (table.rows)(&context)?;
            let mut out = Vec::with_capacity(columns.len());
            for &column in columns {
                let (_, data_type) =
                    table.columns.get(column).ok_or_else(|| Error::internal("no such system column"))?;
                let mut builder = VectorBuilder::new(data_type.physical, rows.len());
                for row in &rows {
                    builder.push(row.get(column).unwrap_or(&types::Value::Null));
                }
                out.push(Arc::new(builder.finish()));
            }
            self.rows = Some((Batch::new(out, rows.len()), 0));
        }
        let Some((rows, position)) = &mut self.rows else { return Ok(None) };
        while *position < rows.len() {
            let end = rows.len().min(*position + BATCH_SIZE);
            let batch = rows.slice(*position, end);
            *position = end;
            if let Some(batch) = cx.filter_batch(filter, batch)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
