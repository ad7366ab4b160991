//! Many keys one after another: what sorts compare and index maintenance writes.

use std::sync::Arc;

use types::key::KeyLayout;
use types::{Result, Vector};

/// The keys of many rows, one after another.
#[derive(Debug, Default)]
pub struct EncodedKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl EncodedKeys {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// Appends the keys of the rows of `columns`.
    pub fn append(&mut self, layout: &KeyLayout, columns: &[Arc<Vector>], rows: usize) -> Result<()> {
        let columns: Vec<&Vector> = columns.iter().map(|column| &**column).collect();
        layout.encode_all(&columns, rows, &mut self.bytes, &mut self.ends)
    }

    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 8
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Row numbers in key order; equal keys keep their order.
    pub fn sorted(&self) -> Vec<u32> {
        // Most comparisons are decided by the first eight bytes, kept beside the row number.
        let mut order: Vec<(u64, u32)> = (0..self.len())
            .map(|row| {
                let key = self.get(row);
                let mut head = [0u8; 8];
                let length = key.len().min(8);
                head[..length].copy_from_slice(&key[..length]);
                (u64::from_be_bytes(head), row as u32)
            })
            .collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| self.get(a.1 as usize).cmp(self.get(b.1 as usize)))
                .then_with(|| a.1.cmp(&b.1))
        });
        order.into_iter().map(|(_, row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_bytes_and_keeps_the_order_of_equals() {
        let mut keys = EncodedKeys::default();
        for key in ["b", "abcdefghij", "a", "abcdefghia", "a", ""] {
            keys.push(key.as_bytes());
        }
        assert_eq!(keys.sorted(), [5, 2, 4, 3, 1, 0]);
    }
}
