//! Append: one input after the other (UNION ALL).

use types::{Batch, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Append {
    /// Next last.
    inputs: Vec<BoxOperator>,
}

impl Append {
    pub fn new(mut inputs: Vec<BoxOperator>) -> Append {
        inputs.reverse();
        Append { inputs }
    }
}

impl Operator for Append {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        while let Some(input) = self.inputs.last_mut() {
            if let Some(batch) = input.next(cx)? {
                return Ok(Some(batch));
            }
            self.inputs.pop();
        }
        Ok(None)
    }
}
