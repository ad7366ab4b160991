//! Scalar kernels, a family per file. Each family lists its kernels by PostgreSQL's `prosrc`.

pub(crate) mod args;

pub(crate) mod arithmetic;
pub(crate) mod compare;

use crate::function::Kernel;

/// Every scalar kernel we have.
pub(crate) fn kernels() -> impl Iterator<Item = (&'static str, Kernel)> {
    let families: [&'static [(&'static str, Kernel)]; 5] =
        [compare::OPERATORS, compare::MIXED, compare::MOMENTS, compare::OTHERS, arithmetic::OTHERS];
    families.into_iter().chain(arithmetic::INTEGERS.iter().copied()).flatten().copied()
}
