//! Which overload a call means: PostgreSQL's `func_select_candidate`, and what its polymorphic types
//! stand for.

use types::{DataType, Error, Result, SqlState, TypeCategory};

use super::pathway::{can_coerce, is_any_family, is_compatible_family, is_polymorphic, is_polymorphic_array};
use crate::registry::CastContext;

/// One way to call something: the types its arguments would be cast to.
pub(crate) struct Candidate<T> {
    pub target: T,
    pub args: Vec<DataType>,
}

fn is_unknown(t: DataType) -> bool {
    t.oid == DataType::UNKNOWN.oid
}

/// Can `inputs` be cast implicitly to what the candidate wants, polymorphic types agreeing?
pub(crate) fn fits(inputs: &[DataType], declared: &[DataType]) -> bool {
    inputs.len() == declared.len()
        && inputs.iter().zip(declared).all(|(&from, &to)| can_coerce(from, to, CastContext::Implicit))
        && (!declared.iter().any(|&t| is_polymorphic(t)) || resolve(inputs, declared).is_ok())
}

/// The one best candidate of several that fit; None when it stays ambiguous.
pub(crate) fn select<T>(inputs: &[DataType], mut candidates: Vec<Candidate<T>>) -> Option<Candidate<T>> {
    if candidates.len() <= 1 {
        return candidates.pop();
    }
    // Most exact matches.
    keep_best(&mut candidates, |candidate| {
        let exact = |(input, arg): (&DataType, &DataType)| !is_unknown(*input) && input.oid == arg.oid;
        inputs.iter().zip(&candidate.args).filter(|&pair| exact(pair)).count()
    });
    if candidates.len() == 1 {
        return candidates.pop();
    }
    // Most exact or preferred types among the known inputs.
    keep_best(&mut candidates, |candidate| {
        let good = |(input, arg): (&DataType, &DataType)| {
            !is_unknown(*input)
                && (input.oid == arg.oid || arg.is_preferred() && arg.category() == input.category())
        };
        inputs.iter().zip(&candidate.args).filter(|&pair| good(pair)).count()
    });
    if candidates.len() == 1 {
        return candidates.pop();
    }
    if !inputs.iter().any(|&t| is_unknown(t)) {
        return None;
    }
    // A category for each unknown: string if any candidate takes one there, else the only one there is.
    let mut slots: Vec<Option<(TypeCategory, bool)>> = vec![None; inputs.len()];
    let mut resolved = true;
    for (position, input) in inputs.iter().enumerate() {
        if !is_unknown(*input) {
            continue;
        }
        let mut conflict = false;
        let mut slot: Option<(TypeCategory, bool)> = None;
        for candidate in &candidates {
            let Some(arg) = candidate.args.get(position) else { continue };
            let (category, preferred) = (arg.category(), arg.is_preferred());
            slot = match slot {
                None => Some((category, preferred)),
                Some((c, p)) if c == category => Some((c, p || preferred)),
                Some(_) if category == TypeCategory::String => Some((category, preferred)),
                Some(other) => {
                    conflict = true;
                    Some(other)
                }
            };
        }
        if conflict && slot.map(|(category, _)| category) != Some(TypeCategory::String) {
            resolved = false;
            break;
        }
        if let Some(place) = slots.get_mut(position) {
            *place = slot;
        }
    }
    if resolved {
        let survives = |candidate: &Candidate<T>| {
            candidate.args.iter().zip(&slots).all(|(arg, slot)| match slot {
                None => true,
                Some((category, preferred)) => {
                    arg.category() == *category && (!preferred || arg.is_preferred())
                }
            })
        };
        if candidates.iter().any(survives) {
            candidates.retain(survives);
        }
        if candidates.len() == 1 {
            return candidates.pop();
        }
    }
    // Perhaps the unknowns are of the one type that all the known inputs have.
    let mut known = inputs.iter().copied().filter(|&t| !is_unknown(t));
    let first = known.next()?;
    if known.all(|t| t.oid == first.oid) {
        let assumed = vec![first; inputs.len()];
        candidates.retain(|candidate| fits(&assumed, &candidate.args));
        if candidates.len() == 1 {
            return candidates.pop();
        }
    }
    None
}

fn keep_best<T>(candidates: &mut Vec<Candidate<T>>, score: impl Fn(&Candidate<T>) -> usize) {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.retain(|candidate| score(candidate) == best);
}

/// What the polymorphic types of a signature stand for in one call.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Polymorphic {
    /// anyelement
    element: Option<DataType>,
    /// anyarray, if one was given
    array: Option<DataType>,
    /// anycompatible
    compatible: Option<DataType>,
}

/// Finds what the declared polymorphic types stand for. 42P18 when nothing decides, 42804 when the
/// arguments contradict each other.
pub(crate) fn resolve(inputs: &[DataType], declared: &[DataType]) -> Result<Polymorphic> {
    let mut found = Polymorphic::default();
    let mut any_used = false;
    let mut compatible_inputs = Vec::new();
    let mut compatible_used = false;
    for (&input, &wanted) in inputs.iter().zip(declared) {
        let bare = input.without_modifier();
        if is_any_family(wanted) {
            any_used = true;
            if is_unknown(input) {
                continue;
            }
            let element = if wanted.oid == DataType::ANYARRAY.oid {
                found.array = Some(bare);
                bare.element().ok_or_else(|| {
                    Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("argument declared anyarray is not an array but type {bare}"),
                    )
                })?
            } else {
                bare
            };
            match found.element {
                Some(other) if other.oid != element.oid => {
                    return Err(Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("arguments declared \"{}\" are not all alike", wanted.name()),
                    )
                    .with_detail(format!("{other} versus {element}")));
                }
                _ => found.element = Some(element),
            }
        } else if is_compatible_family(wanted) {
            compatible_used = true;
            if is_unknown(input) {
                continue;
            }
            if wanted.oid == DataType::ANYCOMPATIBLEARRAY.oid {
                compatible_inputs.push(bare.element().ok_or_else(|| {
                    Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("argument declared anycompatiblearray is not an array but type {bare}"),
                    )
                })?);
            } else {
                compatible_inputs.push(bare);
            }
        }
    }
    if any_used && found.element.is_none() {
        return Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown",
        ));
    }
    if compatible_used {
        let common = super::common_type_of(&compatible_inputs)
            .map_err(|_| {
                Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    "arguments of anycompatible family cannot be cast to a common type",
                )
            })?
            .unwrap_or(DataType::TEXT);
        if !compatible_inputs.iter().all(|&t| can_coerce(t, common, CastContext::Implicit)) {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                "arguments of anycompatible family cannot be cast to a common type",
            ));
        }
        found.compatible = Some(common);
    }
    Ok(found)
}

impl Polymorphic {
    /// The actual type for a declared one. 42P18 when it is polymorphic and nothing decided it.
    pub(crate) fn actual(&self, declared: DataType) -> Result<DataType> {
        if !is_polymorphic(declared) {
            return Ok(declared);
        }
        let element = if is_compatible_family(declared) { self.compatible } else { self.element };
        let actual = if is_polymorphic_array(declared) {
            match self.array {
                Some(array) if declared.oid == DataType::ANYARRAY.oid => Some(array),
                _ => element.and_then(|t| t.array_of()),
            }
        } else {
            element
        };
        actual.ok_or_else(|| {
            Error::new(
                SqlState::INDETERMINATE_DATATYPE,
                "could not determine polymorphic type because input has type unknown",
            )
        })
    }
}
