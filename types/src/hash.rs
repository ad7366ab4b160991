//! Hashing and equality of vectors, row by row, for joins and aggregates.
//!
//! Values that are equal in SQL hash equal whatever form they lie in: constant or flat, `Decimal` of any
//! scale or `Numeric`, −0 and 0, NULL and NULL. Integers of different widths hash equal, too.

use crate::vector::Vector;

/// Combines the hash of each row of `vector` into `hashes[row]` (start them at 0). Call once per column.
pub fn hash_vector(vector: &Vector, hashes: &mut [u64]) {
    use std::hash::{Hash, Hasher};
    for (row, hash) in hashes.iter_mut().enumerate() {
        let mut state = std::collections::hash_map::DefaultHasher::new();
        hash.hash(&mut state);
        vector.value(row).hash(&mut state);
        *hash = state.finish();
    }
}

/// Whether two rows hold the same value; NULL equals NULL (as GROUP BY and DISTINCT want it; a join
/// leaves NULLs out beforehand).
pub fn vectors_equal_at(a: &Vector, row_a: usize, b: &Vector, row_b: usize) -> bool {
    a.value(row_a) == b.value(row_b)
}
