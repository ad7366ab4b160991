//! Reading arguments and building results, row by row or as slices: what kernels are written with.

use types::{Data, Error, Interval, Numeric, Result, SqlState, Strings, Validity, Value, Vector};

use crate::function::Args;

/// A type that a vector stores plainly.
pub(crate) trait Native: Clone + Default {
    fn data(values: Vec<Self>) -> Data;
}

macro_rules! native {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl Native for $type {
            fn data(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }
        })*
    };
}

native! {
    bool => Bool, i16 => Int16, i32 => Int32, i64 => Int64, u32 => UInt32, f32 => Float32,
    f64 => Float64, Interval => Interval, u128 => Uuid, Value => Composed,
}

/// `Numeric` has no `Default`; this stands in.
#[derive(Clone)]
pub(crate) struct N(pub Numeric);

/// Text results of one call for a whole batch may have this many bytes.
const VECTOR_BYTES: usize = 256 << 20;
const TOO_WIDE: &str = "the results of a batch of rows are too large";

fn too_wide() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, TOO_WIDE)
        .with_hint("Shorten the values, or compute them for fewer rows at once.")
}

/// True for the error (54000) that asks the caller to evaluate fewer rows at once, if there is more than one.
pub fn is_too_wide(error: &Error) -> bool {
    error.code() == SqlState::PROGRAM_LIMIT_EXCEEDED && error.message() == TOO_WIDE
}

impl Default for N {
    fn default() -> N {
        N(Numeric::from(0))
    }
}

impl Native for N {
    fn data(values: Vec<Self>) -> Data {
        Data::Numeric(values.into_iter().map(|n| n.0).collect())
    }
}

/// A vector's storage of one native type: `values[0]` for all rows when constant.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a, T> {
    pub values: &'a [T],
    pub constant: bool,
}

impl<T: Copy> Column<'_, T> {
    #[inline]
    pub fn at(&self, row: usize) -> T {
        self.values[if self.constant { 0 } else { row }]
    }
}

/// `f` over two columns, as loops that vectorise.
#[inline]
pub(crate) fn zip<A: Copy, B: Copy, R>(
    a: Column<'_, A>,
    b: Column<'_, B>,
    len: usize,
    mut f: impl FnMut(A, B) -> R,
) -> Vec<R> {
    match (a.constant, b.constant) {
        (false, false) => a.values[..len].iter().zip(&b.values[..len]).map(|(&x, &y)| f(x, y)).collect(),
        (false, true) => {
            let y = b.values[0];
            a.values[..len].iter().map(|&x| f(x, y)).collect()
        }
        (true, false) => {
            let x = a.values[0];
            b.values[..len].iter().map(|&y| f(x, y)).collect()
        }
        (true, true) => (0..len).map(|_| f(a.values[0], b.values[0])).collect(),
    }
}

/// `f` over one column.
#[inline]
pub(crate) fn map<A: Copy, R>(a: Column<'_, A>, len: usize, mut f: impl FnMut(A) -> R) -> Vec<R> {
    if a.constant {
        (0..len).map(|_| f(a.values[0])).collect()
    } else {
        a.values[..len].iter().map(|&x| f(x)).collect()
    }
}

fn wrong(vector: &Vector, wanted: &str) -> Error {
    Error::internal(format!("a {:?} vector where {wanted} was promised", vector.data().physical()))
}

macro_rules! column_of {
    ($($name:ident $variant:ident $type:ty),* $(,)?) => {
        $(pub(crate) fn $name(vector: &Vector) -> Result<Column<'_, $type>> {
            match vector.data() {
                Data::$variant(values) => Ok(Column { values, constant: vector.is_constant() }),
                _ => Err(wrong(vector, stringify!($variant))),
            }
        })*
    };
}

column_of! {
    i16s Int16 i16, i32s Int32 i32, i64s Int64 i64, f64s Float64 f64,
}

/// The strings of a text or bytea vector, and whether row 0 stands for all.
pub(crate) fn strings(vector: &Vector) -> Result<(&Strings, bool)> {
    match vector.data() {
        Data::Text(values) | Data::Bytea(values) => Ok((values, vector.is_constant())),
        _ => Err(wrong(vector, "Text")),
    }
}

/// The numeric at `row`, whichever form the vector has.
pub(crate) fn numeric_at(vector: &Vector, row: usize) -> Numeric {
    let index = vector.index(row);
    match vector.data() {
        Data::Decimal { scale, values } => Numeric::new(i128::from(values[index]), *scale),
        Data::Numeric(values) => values[index].clone(),
        _ => Numeric::from(0),
    }
}

/// The mask of rows where both are present, `len` long.
pub(crate) fn both_valid(a: &Vector, b: &Vector) -> Validity {
    match (a.is_constant(), b.is_constant()) {
        (false, false) => a.validity().and(b.validity()),
        (false, true) => a.validity().clone(),
        (true, false) => b.validity().clone(),
        (true, true) => Validity::all(),
    }
}

impl Args<'_> {
    pub(crate) fn arg(&self, position: usize) -> Result<&Vector> {
        match self.vectors.get(position) {
            Some(vector) => Ok(vector),
            None => Err(Error::internal(format!("{} lacks argument {position}", self.function.name))),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.vectors.len()
    }

    /// Rows where every argument is present; for strict functions (no constant NULLs).
    pub(crate) fn validity(&self) -> Validity {
        let mut all = Validity::all();
        for vector in self.vectors.iter().filter(|v| !v.is_constant()) {
            all = all.and(vector.validity());
        }
        all
    }

    pub(crate) fn is_null(&self, position: usize, row: usize) -> bool {
        self.vectors.get(position).is_none_or(|v| v.is_null(row))
    }

    // Typed access by row. Where the vector is of another form the type's zero comes out: the
    // binder has promised that it is not.

    pub(crate) fn str(&self, position: usize, row: usize) -> &str {
        match self.vectors.get(position) {
            Some(v) => match v.data() {
                Data::Text(s) | Data::Bytea(s) => s.str(v.index(row)),
                _ => "",
            },
            None => "",
        }
    }

    pub(crate) fn bytes(&self, position: usize, row: usize) -> &[u8] {
        match self.vectors.get(position) {
            Some(v) => match v.data() {
                Data::Text(s) | Data::Bytea(s) | Data::Jsonb(s) => s.get(v.index(row)),
                _ => b"",
            },
            None => b"",
        }
    }

    /// Any integer form.
    pub(crate) fn int(&self, position: usize, row: usize) -> i64 {
        match self.vectors.get(position) {
            Some(v) => {
                let index = v.index(row);
                match v.data() {
                    Data::Int16(values) => i64::from(values[index]),
                    Data::Int32(values) => i64::from(values[index]),
                    Data::Int64(values) => values[index],
                    Data::UInt32(values) => i64::from(values[index]),
                    _ => 0,
                }
            }
            None => 0,
        }
    }

    pub(crate) fn i32(&self, position: usize, row: usize) -> i32 {
        self.int(position, row) as i32
    }

    pub(crate) fn bool(&self, position: usize, row: usize) -> bool {
        match self.vectors.get(position) {
            Some(v) => match v.data() {
                Data::Bool(values) => values[v.index(row)],
                _ => false,
            },
            None => false,
        }
    }

    pub(crate) fn f64(&self, position: usize, row: usize) -> f64 {
        match self.vectors.get(position) {
            Some(v) => {
                let index = v.index(row);
                match v.data() {
                    Data::Float64(values) => values[index],
                    Data::Float32(values) => f64::from(values[index]),
                    _ => 0.0,
                }
            }
            None => 0.0,
        }
    }

    pub(crate) fn numeric(&self, position: usize, row: usize) -> Numeric {
        self.vectors.get(position).map_or_else(|| Numeric::from(0), |v| numeric_at(v, row))
    }

    pub(crate) fn interval(&self, position: usize, row: usize) -> Interval {
        match self.vectors.get(position) {
            Some(v) => match v.data() {
                Data::Interval(values) => values[v.index(row)],
                _ => Interval::default(),
            },
            None => Interval::default(),
        }
    }

    pub(crate) fn value(&self, position: usize, row: usize) -> Value {
        self.vectors.get(position).map_or(Value::Null, |v| v.value(row))
    }

    /// A result for each row where all arguments are present.
    pub(crate) fn build<T: Native>(&self, mut f: impl FnMut(usize) -> Result<T>) -> Result<Vector> {
        let validity = self.strict_validity();
        let mut values = Vec::with_capacity(self.len);
        for row in 0..self.len {
            values.push(if validity.is_valid(row) { f(row)? } else { T::default() });
        }
        Ok(Vector::flat(T::data(values), validity))
    }

    /// As [`Args::build`], with NULLs among the results.
    pub(crate) fn build_opt<T: Native>(
        &self,
        mut f: impl FnMut(usize) -> Result<Option<T>>,
    ) -> Result<Vector> {
        let mut validity = self.strict_validity();
        let mut values = Vec::with_capacity(self.len);
        for row in 0..self.len {
            let value = if validity.is_valid(row) { f(row)? } else { None };
            if value.is_none() {
                validity.set_null(row, self.len);
            }
            values.push(value.unwrap_or_default());
        }
        Ok(Vector::flat(T::data(values), validity))
    }

    /// A string for each row where all arguments are present: `f` appends its bytes.
    pub(crate) fn build_text(&self, mut f: impl FnMut(usize, &mut Vec<u8>) -> Result<()>) -> Result<Vector> {
        self.build_text_opt(|row, out| f(row, out).map(|()| true))
    }

    /// As [`Args::build_text`]; `false` is NULL.
    pub(crate) fn build_text_opt(
        &self,
        mut f: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>,
    ) -> Result<Vector> {
        let mut validity = self.strict_validity();
        let mut strings = Strings::with_capacity(self.len, self.len * 8);
        for row in 0..self.len {
            if validity.is_valid(row) {
                let start = strings.open().len();
                if !f(row, strings.open())? {
                    strings.open().truncate(start);
                    validity.set_null(row, self.len);
                }
            }
            strings.close();
            if row + 1 < self.len && strings.open().len() > VECTOR_BYTES {
                return Err(too_wide());
            }
        }
        let data = match self.result.physical {
            types::Physical::Bytea => Data::Bytea(strings),
            types::Physical::Jsonb => Data::Jsonb(strings),
            _ => Data::Text(strings),
        };
        Ok(Vector::flat(data, validity))
    }

    /// A value for each row, NULL allowed.
    pub(crate) fn build_values(&self, mut f: impl FnMut(usize) -> Result<Value>) -> Result<Vector> {
        let validity = self.strict_validity();
        let mut builder = types::VectorBuilder::new(self.result.physical, self.len);
        for row in 0..self.len {
            let value = if validity.is_valid(row) { f(row)? } else { Value::Null };
            builder.push(&value);
        }
        Ok(builder.finish())
    }

    fn strict_validity(&self) -> Validity {
        if self.function.strict { self.validity() } else { Validity::all() }
    }
}
