//! count(*) and count(x).

use std::sync::Arc;

use types::{Data, DataType, Result, Validity, Vector};

use super::{Fold, Groups, arg};
use crate::context::EvalContext;

pub(crate) struct Count {
    counts: Vec<i64>,
    /// count(*): rows, not values.
    star: bool,
}

impl Count {
    pub fn new(star: bool) -> Count {
        Count { counts: Vec::new(), star }
    }
}

impl Fold for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = if self.star { None } else { Some(arg(args, 0)?) };
        match (groups, vector) {
            (Groups::One, None) => self.counts[0] += len as i64,
            (Groups::One, Some(vector)) if vector.validity().is_all() => self.counts[0] += len as i64,
            (Groups::Each(groups), vector) if vector.is_none_or(|v| v.validity().is_all()) => {
                for &group in groups {
                    self.counts[group as usize] += 1;
                }
            }
            (groups, Some(vector)) => {
                for row in 0..len {
                    self.counts[groups.of(row)] += i64::from(vector.is_valid(row));
                }
            }
            (Groups::Each(_), None) => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        Ok(Vector::flat(Data::Int64(std::mem::take(&mut self.counts)), Validity::all()))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::INT8]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![Vector::flat(Data::Int64(self.counts.clone()), Validity::all())])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let counts = arg(state, 0)?;
        for (row, &group) in groups.iter().enumerate() {
            self.counts[group as usize] += counts.value(row).as_i64().unwrap_or(0);
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }
}
