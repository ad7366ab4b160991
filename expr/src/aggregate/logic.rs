//! bool_and, bool_or, every; bit_and, bit_or, bit_xor.

use std::sync::Arc;

use types::{Data, DataType, Physical, Result, Validity, Value, Vector, VectorBuilder};

use super::{Fold, Groups, Maker, arg};
use crate::context::EvalContext;

pub(crate) struct Bools {
    /// NULL until the first value.
    states: Vec<Option<bool>>,
    and: bool,
}

impl Bools {
    pub fn new(and: bool) -> Bools {
        Bools { states: Vec::new(), and }
    }
}

impl Fold for Bools {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, None);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        for row in 0..len {
            if let Value::Bool(value) = vector.value(row) {
                let state = &mut self.states[groups.of(row)];
                let old = state.unwrap_or(self.and);
                *state = Some(if self.and { old && value } else { old || value });
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let values = self.states.iter().map(|state| state.unwrap_or_default()).collect();
        let validity = Validity::from_fn(self.states.len(), |group| self.states[group].is_some());
        Ok(Vector::flat(Data::Bool(values), validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BOOL]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let values = self.states.iter().map(|state| state.unwrap_or_default()).collect();
        let validity = Validity::from_fn(self.states.len(), |group| self.states[group].is_some());
        Ok(vec![Vector::flat(Data::Bool(values), validity)])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * 2
    }
}

#[derive(Clone, Copy)]
enum BitOp {
    And,
    Or,
    Xor,
}

/// The bitwise aggregate of an integer type; None for others.
pub(super) fn bits(name: &str, argument: DataType) -> Option<Maker> {
    if !matches!(argument.physical, Physical::Int16 | Physical::Int32 | Physical::Int64) {
        return None;
    }
    Some(match name {
        "bit_and" => |types| Ok(Box::new(Bits { op: BitOp::And, states: Vec::new(), result: types.result })),
        "bit_or" => |types| Ok(Box::new(Bits { op: BitOp::Or, states: Vec::new(), result: types.result })),
        _ => |types| Ok(Box::new(Bits { op: BitOp::Xor, states: Vec::new(), result: types.result })),
    })
}

struct Bits {
    op: BitOp,
    states: Vec<Option<i64>>,
    result: DataType,
}

impl Bits {
    fn vector(&self) -> Vector {
        let mut builder = VectorBuilder::new(self.result.physical, self.states.len());
        for state in &self.states {
            builder.push(&match (state, self.result.physical) {
                (None, _) => Value::Null,
                (Some(bits), Physical::Int16) => Value::Int16(*bits as i16),
                (Some(bits), Physical::Int32) => Value::Int32(*bits as i32),
                (Some(bits), _) => Value::Int64(*bits),
            });
        }
        builder.finish()
    }
}

impl Fold for Bits {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, None);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        _: &EvalContext<'_>,
    ) -> Result<()> {
        let vector = arg(args, 0)?;
        for row in 0..len {
            if let Some(value) = vector.value(row).as_i64() {
                let state = &mut self.states[groups.of(row)];
                *state = Some(match (*state, self.op) {
                    (None, _) => value,
                    (Some(old), BitOp::And) => old & value,
                    (Some(old), BitOp::Or) => old | value,
                    (Some(old), BitOp::Xor) => old ^ value,
                });
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        Ok(self.vector())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.result]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![self.vector()])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * 16
    }
}
