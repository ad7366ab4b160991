//! json_agg, json_object_agg and the same for jsonb: text that grows, read at the end for jsonb.

use std::sync::Arc;

use types::{Data, DataType, Error, Physical, Result, SqlState, Strings, Validity, Vector};

use super::{Fold, Groups, arg};
use crate::context::EvalContext;
use crate::function::AggregateTypes;
use crate::scalar::json_build::{is_structured, to_jsonb, write_json, write_key};

pub(super) struct JsonText {
    /// The elements so far, without what encloses them.
    states: Vec<Option<Vec<u8>>>,
    types: Vec<DataType>,
    result: DataType,
    object: bool,
    bytes: usize,
}

impl JsonText {
    pub fn new(types: &AggregateTypes<'_>) -> JsonText {
        JsonText {
            states: Vec::new(),
            types: types.args.to_vec(),
            result: types.result,
            object: types.function.name.ends_with("object_agg"),
            bytes: 0,
        }
    }

    fn type_at(&self, position: usize) -> DataType {
        self.types.get(position).copied().unwrap_or(DataType::TEXT)
    }

    /// What stands between two elements.
    fn between(&self) -> &'static [u8] {
        if !self.object && is_structured(self.type_at(0)) { b", \n " } else { b", " }
    }
}

impl Fold for JsonText {
    fn resize(&mut self, groups: usize) {
        self.states.resize(groups, None);
    }

    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        cx: &EvalContext<'_>,
    ) -> Result<()> {
        let between = self.between();
        let (first, second) = (self.type_at(0), self.type_at(1));
        for row in 0..len {
            let state = &mut self.states[groups.of(row)];
            let before = state.as_ref().map_or(0, Vec::len);
            match state {
                Some(text) => text.extend_from_slice(between),
                None => *state = Some(Vec::new()),
            }
            let text = state.get_or_insert_default();
            let value = arg(args, 0)?.value(row);
            if self.object {
                if value.is_null() {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "field name must not be null",
                    ));
                }
                write_key(&value, first, cx, text)?;
                text.extend_from_slice(b" : ");
                write_json(&arg(args, 1)?.value(row), second, false, cx, text)?;
            } else {
                write_json(&value, first, false, cx, text)?;
            }
            self.bytes += text.len() - before;
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let jsonb = self.result.physical == Physical::Jsonb;
        let mut strings = Strings::with_capacity(self.states.len(), self.bytes);
        let (open, close): (&[u8], &[u8]) = if self.object { (b"{ ", b" }") } else { (b"[", b"]") };
        for state in &self.states {
            let text: Vec<u8> = match state {
                Some(text) => [open, text, close].concat(),
                None => Vec::new(),
            };
            match state {
                Some(_) if jsonb => strings.push(&to_jsonb(&text)?),
                _ => strings.push(&text),
            }
        }
        let validity = Validity::from_fn(self.states.len(), |group| self.states[group].is_some());
        Ok(Vector::flat(if jsonb { Data::Jsonb(strings) } else { Data::Text(strings) }, validity))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::TEXT]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let strings = self.states.iter().map(|state| state.as_deref().unwrap_or_default()).collect();
        let validity = Validity::from_fn(self.states.len(), |group| self.states[group].is_some());
        Ok(vec![Vector::flat(Data::Text(strings), validity)])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let vector = arg(state, 0)?;
        let (strings, _) = crate::scalar::args::strings(vector)?;
        let between = self.between();
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| vector.is_valid(*row)) {
            let more = strings.get(vector.index(row));
            self.bytes += more.len() + between.len();
            match &mut self.states[group as usize] {
                Some(text) => {
                    text.extend_from_slice(between);
                    text.extend_from_slice(more);
                }
                state => *state = Some(more.to_vec()),
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * 24 + self.bytes
    }
}
