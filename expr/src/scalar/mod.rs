//! Scalar kernels, a family per file. Each family lists its kernels by PostgreSQL's `prosrc`.

pub(crate) mod args;

pub(crate) mod arithmetic;
pub(crate) mod array;
pub(crate) mod bytes;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod datetime;
pub(crate) mod format_date;
pub(crate) mod format_number;
pub mod json;
pub(crate) mod json_build;
pub(crate) mod json_path;
pub(crate) mod math;
pub(crate) mod pattern;
pub(crate) mod regex;
pub(crate) mod string;
pub(crate) mod system;

use crate::function::Kernel;

/// Every scalar kernel we have.
pub(crate) fn kernels() -> impl Iterator<Item = (&'static str, Kernel)> {
    let families: [&'static [(&'static str, Kernel)]; 19] = [
        compare::OPERATORS,
        compare::MIXED,
        compare::MOMENTS,
        compare::OTHERS,
        arithmetic::OTHERS,
        array::KERNELS,
        bytes::KERNELS,
        regex::KERNELS,
        convert::KERNELS,
        datetime::KERNELS,
        format_date::KERNELS,
        format_number::KERNELS,
        json::KERNELS,
        json_build::KERNELS,
        json_path::KERNELS,
        math::KERNELS,
        pattern::KERNELS,
        string::KERNELS,
        system::KERNELS,
    ];
    families.into_iter().chain(arithmetic::INTEGERS.iter().copied()).flatten().copied()
}

/// The kernel of functions that only the host can answer.
pub(crate) fn host_kernel(source: &str) -> Option<Kernel> {
    system::host_kernel(source)
}
