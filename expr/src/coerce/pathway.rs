//! Which cast leads from one type to another, after `find_coercion_pathway` of PostgreSQL.

use types::{DataType, TypeCategory};

use crate::function::Function;
use crate::registry::{CastContext, registry};

/// How to get from one type to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pathway {
    /// The same bytes under another name.
    Relabel,
    Function(&'static Function),
    /// Print as text, read as the target.
    ViaText,
    /// Each element of an array.
    Elements,
}

/// The cast from `from` to `to` that `context` allows.
pub(crate) fn pathway(from: DataType, to: DataType, context: CastContext) -> Option<Pathway> {
    if from.oid == to.oid {
        return Some(Pathway::Relabel);
    }
    if let Some(cast) = registry().cast(from, to) {
        if context < cast.context {
            return None;
        }
        return Some(match cast.function {
            Some(function) => Pathway::Function(function),
            None if cast.via_text => Pathway::ViaText,
            None => Pathway::Relabel,
        });
    }
    let is_vector = |t: DataType| t.oid == DataType::OIDVECTOR.oid || t.oid == DataType::INT2VECTOR.oid;
    if !is_vector(to)
        && let (Some(from), Some(to)) = (from.element(), to.element())
        && pathway(from, to, context).is_some()
    {
        return Some(Pathway::Elements);
    }
    let is_string = |t: DataType| t.category() == TypeCategory::String;
    let via_text = context >= CastContext::Assignment && is_string(to)
        || context >= CastContext::Explicit && is_string(from);
    via_text.then_some(Pathway::ViaText)
}

/// True when a value of type `from` can become one of type `to` in this context. `unknown` becomes
/// anything; pseudo-types take what they stand for.
pub fn can_coerce(from: DataType, to: DataType, context: CastContext) -> bool {
    if from.oid == to.oid || to.oid == DataType::ANY.oid || from.oid == DataType::UNKNOWN.oid {
        return true;
    }
    if is_polymorphic(to) {
        return match to.oid {
            oid if oid == DataType::ANYARRAY.oid || oid == DataType::ANYCOMPATIBLEARRAY.oid => {
                from.element().is_some()
            }
            oid if oid == DataType::ANYNONARRAY.oid || oid == DataType::ANYCOMPATIBLENONARRAY.oid => {
                from.element().is_none()
            }
            oid if oid == DataType::ANYENUM.oid => from.category() == TypeCategory::Enum,
            _ => true,
        };
    }
    if to.oid == DataType::RECORD.oid && from.category() == TypeCategory::Composite {
        return true;
    }
    pathway(from, to, context).is_some()
}

/// anyelement, anyarray and their kin.
pub(crate) fn is_polymorphic(t: DataType) -> bool {
    is_any_family(t) || is_compatible_family(t)
}

pub(crate) fn is_any_family(t: DataType) -> bool {
    [DataType::ANYELEMENT, DataType::ANYARRAY, DataType::ANYNONARRAY, DataType::ANYENUM]
        .iter()
        .any(|p| p.oid == t.oid)
}

pub(crate) fn is_compatible_family(t: DataType) -> bool {
    [DataType::ANYCOMPATIBLE, DataType::ANYCOMPATIBLEARRAY, DataType::ANYCOMPATIBLENONARRAY]
        .iter()
        .any(|p| p.oid == t.oid)
}

/// anyarray or anycompatiblearray.
pub(crate) fn is_polymorphic_array(t: DataType) -> bool {
    t.oid == DataType::ANYARRAY.oid || t.oid == DataType::ANYCOMPATIBLEARRAY.oid
}
