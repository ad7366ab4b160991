//! The one table of functions, operators and casts: name → overloads.
//!
//! Built once from `registry/*.tsv` (PostgreSQL 15's catalog, for the types we have) and the kernels
//! of `scalar/`, `aggregate/`, `window.rs` and `table.rs`, which are found by `prosrc`. A function of
//! the list without a kernel resolves like any other and is refused with 0A000 when called. Used by
//! the binder through [`crate::coerce`], by the catalog for `pg_proc` and `pg_operator`.

use std::collections::HashMap;
use std::sync::LazyLock;

use types::{DataType, Physical};

use crate::function::{
    Comparison, Function, FunctionKind, Implementation, Kernel, Operator, Selectivity, Volatility,
};

/// A row of `pg_cast`.
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    pub source: u32,
    pub target: u32,
    /// None: binary-compatible, or through the text forms when `via_text`.
    pub function: Option<&'static Function>,
    pub context: CastContext,
    pub via_text: bool,
}

/// Where a cast may be applied; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere, silently.
    Implicit,
    /// Also when a value is stored in a column.
    Assignment,
    /// Only by CAST or `::`.
    Explicit,
}

/// The table. Its lists keep the OID order of the catalog.
pub struct Registry {
    functions: Vec<&'static Function>,
    by_name: HashMap<&'static str, Vec<&'static Function>>,
    by_oid: HashMap<u32, &'static Function>,
    operators: Vec<&'static Operator>,
    by_symbol: HashMap<&'static str, Vec<&'static Operator>>,
    operator_by_oid: HashMap<u32, &'static Operator>,
    casts: Vec<Cast>,
    cast_by_types: HashMap<(u32, u32), usize>,
}

/// The registry; built on first use, some milliseconds.
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::build);
    &REGISTRY
}

impl Registry {
    /// All overloads of a function name, of every kind.
    pub fn functions_named(&self, name: &str) -> &[&'static Function] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn function_by_oid(&self, oid: u32) -> Option<&'static Function> {
        self.by_oid.get(&oid).copied()
    }

    /// The overload with exactly these declared argument types.
    pub fn function(&self, name: &str, args: &[DataType]) -> Option<&'static Function> {
        self.functions_named(name)
            .iter()
            .copied()
            .find(|f| f.args.len() == args.len() && f.args.iter().zip(args).all(|(a, b)| a.oid == b.oid))
    }

    pub fn functions(&self) -> &[&'static Function] {
        &self.functions
    }

    /// All overloads of an operator symbol.
    pub fn operators_named(&self, symbol: &str) -> &[&'static Operator] {
        self.by_symbol.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// None for OID 0 as for any other that does not exist.
    pub fn operator_by_oid(&self, oid: u32) -> Option<&'static Operator> {
        self.operator_by_oid.get(&oid).copied()
    }

    pub fn operators(&self) -> &[&'static Operator] {
        &self.operators
    }

    /// The operator with exactly these declared types.
    pub fn operator(
        &self,
        symbol: &str,
        left: Option<DataType>,
        right: DataType,
    ) -> Option<&'static Operator> {
        self.operators_named(symbol)
            .iter()
            .copied()
            .find(|o| o.left.map(|t| t.oid) == left.map(|t| t.oid) && o.right.oid == right.oid)
    }

    /// The comparison of a type's default order between two values of that type; None for types
    /// without one (json). varchar compares as text does, enums and arrays by their own.
    pub fn comparison(&self, comparison: Comparison, data_type: DataType) -> Option<&'static Operator> {
        let symbol = comparison.symbol();
        let found = self.operator(symbol, Some(data_type), data_type);
        if found.is_some() {
            return found;
        }
        let stand_in = match data_type.oid {
            oid if oid == DataType::VARCHAR.oid || oid == DataType::UNKNOWN.oid => DataType::TEXT,
            oid if oid == DataType::RECORD.oid => DataType::RECORD,
            oid if data_type.physical == Physical::UInt32
                && oid != DataType::XID.oid
                && oid != DataType::CID.oid =>
            {
                DataType::OID
            }
            _ if data_type.element().is_some() => DataType::ANYARRAY,
            _ => return None,
        };
        self.operator(symbol, Some(stand_in), stand_in)
    }

    /// `=` of a type, by which GROUP BY, DISTINCT, IN and set operations compare.
    pub fn equality(&self, data_type: DataType) -> Option<&'static Operator> {
        self.comparison(Comparison::Equal, data_type)
    }

    /// True when values of the type can be ordered.
    pub fn is_orderable(&self, data_type: DataType) -> bool {
        self.comparison(Comparison::Less, data_type).is_some()
    }

    pub fn cast(&self, source: DataType, target: DataType) -> Option<&Cast> {
        self.cast_by_types.get(&(source.oid, target.oid)).and_then(|&index| self.casts.get(index))
    }

    pub fn casts(&self) -> &[Cast] {
        &self.casts
    }

    fn build() -> Registry {
        let scalar: HashMap<&str, Kernel> = crate::scalar::kernels().collect();
        let mut registry = Registry {
            functions: Vec::new(),
            by_name: HashMap::new(),
            by_oid: HashMap::new(),
            operators: Vec::new(),
            by_symbol: HashMap::new(),
            operator_by_oid: HashMap::new(),
            casts: Vec::new(),
            cast_by_types: HashMap::new(),
        };
        for line in include_str!("registry/functions.tsv").lines().filter(|l| !l.starts_with('#')) {
            if let Some(function) = read_function(line, &scalar) {
                let function: &'static Function = Box::leak(Box::new(function));
                registry.functions.push(function);
                registry.by_name.entry(function.name).or_default().push(function);
                registry.by_oid.insert(function.oid, function);
            }
        }
        for line in include_str!("registry/operators.tsv").lines().filter(|l| !l.starts_with('#')) {
            if let Some(operator) = read_operator(line, &registry.by_oid) {
                let operator: &'static Operator = Box::leak(Box::new(operator));
                registry.operators.push(operator);
                registry.by_symbol.entry(operator.symbol).or_default().push(operator);
                registry.operator_by_oid.insert(operator.oid, operator);
            }
        }
        for line in include_str!("registry/casts.tsv").lines().filter(|l| !l.starts_with('#')) {
            if let Some(cast) = read_cast(line, &registry.by_oid) {
                registry.cast_by_types.insert((cast.source, cast.target), registry.casts.len());
                registry.casts.push(cast);
            }
        }
        registry
    }
}

/// `oid name kind flags result variadic defaults arguments source`; None when a type is unknown to us.
fn read_function(line: &'static str, scalar: &HashMap<&str, Kernel>) -> Option<Function> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let oid = field()?.parse().ok()?;
    let name = field()?;
    let kind = match field()? {
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        "p" => FunctionKind::Procedure,
        _ => FunctionKind::Function,
    };
    let flags = field()?.as_bytes();
    let result = read_type(field()?)?;
    let variadic = match field()? {
        "0" => None,
        element => Some(read_type(element)?),
    };
    let defaults = field()?.parse().ok()?;
    let args = match field()? {
        "-" => Vec::new(),
        list => list.split(',').map(read_type).collect::<Option<Vec<DataType>>>()?,
    };
    let source = field()?;
    let returns_set = flags.get(2) == Some(&b'r');
    let implementation = match kind {
        FunctionKind::Aggregate => {
            crate::aggregate::maker(name, &args).map_or(Implementation::Missing, Implementation::Aggregate)
        }
        FunctionKind::Window => {
            crate::window::kernel(source).map_or(Implementation::Missing, Implementation::Window)
        }
        _ if returns_set => {
            crate::table::kernel(source).map_or(Implementation::Missing, Implementation::Table)
        }
        _ => scalar
            .get(source)
            .copied()
            .or_else(|| crate::scalar::host_kernel(source))
            .map(Implementation::Scalar)
            .or_else(|| crate::scalar::json::record_kernel(source).map(Implementation::Table))
            .unwrap_or(Implementation::Missing),
    };
    Some(Function {
        oid,
        name,
        args: Vec::leak(args),
        variadic,
        defaults,
        result,
        strict: flags.first() == Some(&b's'),
        volatility: match flags.get(1) {
            Some(b'i') => Volatility::Immutable,
            Some(b's') => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        kind,
        returns_set,
        source,
        implementation,
    })
}

/// `oid symbol left right result commutator negator function selectivity merge/hash`
fn read_operator(line: &'static str, functions: &HashMap<u32, &'static Function>) -> Option<Operator> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let [oid, symbol, left, right, result, commutator, negator, function, selectivity, flags] =
        <[&'static str; 10]>::try_from(fields).ok()?;
    let selectivity = match selectivity {
        "eqsel" => Selectivity::Equal,
        "neqsel" => Selectivity::NotEqual,
        "scalarltsel" => Selectivity::Less,
        "scalarlesel" => Selectivity::LessEqual,
        "scalargtsel" => Selectivity::Greater,
        "scalargesel" => Selectivity::GreaterEqual,
        "likesel" => Selectivity::Like,
        "nlikesel" => Selectivity::NotLike,
        "iclikesel" => Selectivity::ILike,
        "icnlikesel" => Selectivity::NotILike,
        "regexeqsel" | "icregexeqsel" => Selectivity::Regex,
        "regexnesel" | "icregexnesel" => Selectivity::NotRegex,
        "contsel" | "arraycontsel" => Selectivity::Contains,
        _ => Selectivity::Unknown,
    };
    Some(Operator {
        oid: oid.parse().ok()?,
        symbol,
        left: if left == "0" { None } else { Some(read_type(left)?) },
        right: read_type(right)?,
        result: read_type(result)?,
        function: functions.get(&function.parse().ok()?)?,
        commutator_oid: commutator.parse().ok()?,
        negator_oid: negator.parse().ok()?,
        selectivity,
        hashable: flags.contains('h'),
        mergeable: flags.contains('m'),
        comparison: Comparison::from_symbol(symbol).filter(|_| result == "16"),
    })
}

/// `source target function context method`
fn read_cast(line: &str, functions: &HashMap<u32, &'static Function>) -> Option<Cast> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [source, target, function, context, method] = <[&str; 5]>::try_from(fields).ok()?;
    Some(Cast {
        source: read_type(source)?.oid,
        target: read_type(target)?.oid,
        function: if function == "0" { None } else { Some(functions.get(&function.parse().ok()?)?) },
        context: match context {
            "i" => CastContext::Implicit,
            "a" => CastContext::Assignment,
            _ => CastContext::Explicit,
        },
        via_text: method == "i",
    })
}

fn read_type(oid: &str) -> Option<DataType> {
    DataType::from_oid(oid.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_and_names_are_postgres_ones() {
        let plus = registry().operator("+", Some(DataType::INT4), DataType::INT4).unwrap();
        assert_eq!((plus.oid, plus.function.source), (551, "int4pl"));
        let less = registry().comparison(Comparison::Less, DataType::VARCHAR).unwrap();
        assert_eq!(less.function.source, "text_lt");
        assert_eq!(less.commutator().unwrap().symbol, ">");
        assert_eq!(less.negator().unwrap().symbol, ">=");
        assert!(registry().equality(DataType::JSON).is_none());
        assert!(registry().equality(DataType::INT4_ARRAY).is_some());
        assert_eq!(registry().cast(DataType::INT4, DataType::INT8).unwrap().context, CastContext::Implicit);
        assert!(registry().functions_named("substring").len() > 3);
    }
}
