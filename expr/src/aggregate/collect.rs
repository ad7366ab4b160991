//! string_agg and array_agg: all values of a group, in the order given.

use std::sync::Arc;

use types::{ArrayValue, Data, DataType, Physical, Result, Validity, Value, Vector, VectorBuilder};

use super::{Fold, Groups, arg};
use crate::context::EvalContext;
use crate::function::AggregateTypes;

pub(crate) struct Strings {
    /// The text so far, without the first value's delimiter; that is kept for [`Fold::merge`].
    states: Vec<Option<(Vec<u8>, Vec<u8>)>>,
    data_type: DataType,
}

impl Strings {
    pub fn new(data_type: DataType) -> Strings {
        Strings { states: Vec::new(), data_type }
    }

    fn column(&self, part: impl Fn(&(Vec<u8>, Vec<u8>)) -> &[u8]) -> Vector {
        let strings = self.states.iter().map(|state| state.as_ref().map_or(b"".as_slice(), &part)).collect();
        let validity = Validity::from_fn(self.states.len(), |group| self.states[group].is_some());
        let bytea = self.data_type.physical == Physical::Bytea;
        Vector::flat(if bytea { Data::Bytea(strings) } else { Data::Text(strings) }, validity)
    }

    fn append(&mut self, group: usize, delimiter: &[u8], value: &[u8]) {
        match &mut self.states[group] {
            Some((text, _)) => {
                text.extend_from_slice(delimiter);
                text.extend_from_slice(value);
            }
            state => *state = Some((value.to_vec(), delimiter.to_vec())),
        }
    }
}

impl Fold for Strings {
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
        let (vector, delimiters) = (arg(args, 0)?, arg(args, 1)?);
        let (strings, _) = crate::scalar::args::strings(vector)?;
        let (between, _) = crate::scalar::args::strings(delimiters)?;
        for row in (0..len).filter(|&row| vector.is_valid(row)) {
            let delimiter =
                if delimiters.is_valid(row) { between.get(delimiters.index(row)) } else { b"".as_slice() };
            self.append(groups.of(row), delimiter, strings.get(vector.index(row)));
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        Ok(self.column(|(text, _)| text))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type, self.data_type]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        Ok(vec![self.column(|(text, _)| text), self.column(|(_, delimiter)| delimiter)])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        self.fold(Groups::Each(groups), state, groups.len(), &EvalContext::default())
    }

    fn size_bytes(&self) -> usize {
        let bytes: usize = self.states.iter().flatten().map(|(text, d)| text.capacity() + d.capacity()).sum();
        self.states.capacity() * 48 + bytes
    }
}

pub(crate) struct Arrays {
    states: Vec<Option<Vec<Value>>>,
    element: DataType,
    /// The values are arrays, to become the rows of one with another dimension.
    nested: bool,
    bytes: usize,
}

impl Arrays {
    pub fn new(types: &AggregateTypes<'_>) -> Arrays {
        let argument = types.args.first().copied().unwrap_or(DataType::TEXT);
        let nested = argument.element().is_some();
        let element = if nested { argument.element().unwrap_or(argument) } else { argument };
        Arrays { states: Vec::new(), element: element.without_modifier(), nested, bytes: 0 }
    }

    fn array(&self, items: &[Value]) -> Result<Value> {
        let array = if self.nested {
            crate::eval::stack(items, self.element)?
        } else {
            ArrayValue::from_elements(self.element, items.to_vec())
        };
        Ok(Value::Array(Arc::new(array)))
    }
}

impl Fold for Arrays {
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
            let value = vector.value(row);
            self.bytes += match &value {
                Value::Text(text) => text.len(),
                Value::Bytea(bytes) => bytes.len(),
                Value::Array(array) => array.elements.len() * size_of::<Value>(),
                _ => 0,
            };
            self.bytes += size_of::<Value>();
            self.states[groups.of(row)].get_or_insert_default().push(value);
        }
        Ok(())
    }

    fn finish(&mut self, _: &EvalContext<'_>) -> Result<Vector> {
        let mut builder = VectorBuilder::new(Physical::Composed, self.states.len());
        for state in &self.states {
            builder.push(&match state {
                Some(items) => self.array(items)?,
                None => Value::Null,
            });
        }
        Ok(builder.finish())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::RECORD]
    }

    fn export(&self) -> Result<Vec<Vector>> {
        let mut builder = VectorBuilder::new(Physical::Composed, self.states.len());
        for state in &self.states {
            builder.push(&state.as_ref().map_or(Value::Null, |items| Value::Record(items.clone().into())));
        }
        Ok(vec![builder.finish()])
    }

    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()> {
        let states = arg(state, 0)?;
        for (row, &group) in groups.iter().enumerate() {
            if let Value::Record(items) = states.value(row) {
                self.bytes += items.len() * size_of::<Value>();
                self.states[group as usize].get_or_insert_default().extend(items.iter().cloned());
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * 24 + self.bytes
    }
}
