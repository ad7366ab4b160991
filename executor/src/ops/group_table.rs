//! Numbers distinct keys: the hash table under aggregates, DISTINCT, set operations and hash joins.
//!
//! A key is one or more columns; NULL equals NULL. Keys get numbers 0, 1, 2 … in the order they are first
//! seen. One integer column is compared as a word, two as two; other keys as their order-preserving bytes,
//! packed into two words while all are short. Lookups go over a batch in phases, so that cache misses
//! of different rows overlap.
//!
//! ```text
//! slot  hash's high half │ group + 1     linear probing, at most half full
//! ```

use std::sync::Arc;

use types::key::{KeyColumn, KeyLayout};
use types::row::builder_for;
use types::{Batch, Data, DataType, Physical, Result, Vector, VectorBuilder};

/// "There is no such key", in [`GroupTable::find`]'s answers.
pub const NO_GROUP: u32 = u32::MAX;

pub struct GroupTable {
    types: Vec<DataType>,
    layout: KeyLayout,
    /// The keys by group, for output.
    keys: Vec<VectorBuilder>,
    keep_keys: bool,
    len: usize,
    slots: Vec<u64>,
    index: Index,
    null_group: Option<u32>,
    /// Memory of `keys` and of long keys.
    key_bytes: usize,
    scratch: Scratch,
}

/// The comparable form of every group's key.
enum Index {
    /// One integer column.
    Word(Vec<u64>),
    /// Two integer columns without NULLs.
    Words(Vec<[u64; 2]>),
    /// Key bytes of at most 16, zero-padded.
    Packed(Vec<[u64; 2]>),
    /// Key bytes one after another; group `i` ends at `ends[i]`.
    Bytes { bytes: Vec<u8>, ends: Vec<usize> },
}

/// The comparable keys of a batch.
#[derive(Default)]
struct Scratch {
    hashes: Vec<u64>,
    word: Vec<u64>,
    words: Vec<[u64; 2]>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    new_rows: Vec<u32>,
}

fn is_integer(data_type: DataType) -> bool {
    matches!(
        data_type.physical,
        Physical::Int16 | Physical::Int32 | Physical::Int64 | Physical::UInt32 | Physical::Bool
    )
}

#[inline]
fn hash_word(word: u64) -> u64 {
    let product = u128::from(word ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn hash_words(words: [u64; 2]) -> u64 {
    let product = u128::from(words[0] ^ 0x9E37_79B9_7F4A_7C15) * u128::from(words[1] ^ 0xE703_7ED1_A0B4_28DB);
    hash_word((product as u64) ^ ((product >> 64) as u64))
}

/// Appends an integer column's values, widened. NULLs come as whatever is stored.
fn words_of(vector: &Vector, rows: usize, out: &mut Vec<u64>) {
    fn widen<T: Copy>(values: &[T], constant: bool, rows: usize, out: &mut Vec<u64>, f: impl Fn(T) -> u64) {
        if constant {
            out.extend(std::iter::repeat_n(f(values[0]), rows));
        } else {
            out.extend(values.iter().map(|&value| f(value)));
        }
    }
    let constant = vector.is_constant();
    match vector.data() {
        Data::Int16(v) => widen(v, constant, rows, out, |n| i64::from(n) as u64),
        Data::Int32(v) => widen(v, constant, rows, out, |n| i64::from(n) as u64),
        Data::Int64(v) => widen(v, constant, rows, out, |n| n as u64),
        Data::UInt32(v) => widen(v, constant, rows, out, u64::from),
        Data::Bool(v) => widen(v, constant, rows, out, u64::from),
        other => panic!("a {:?} vector is no integer column", other.physical()),
    }
}

impl GroupTable {
    /// A table of keys of these types.
    pub fn new(types: &[DataType]) -> GroupTable {
        let index = match types {
            [one] if is_integer(*one) => Index::Word(Vec::new()),
            [a, b] if is_integer(*a) && is_integer(*b) => Index::Words(Vec::new()),
            _ => Index::Packed(Vec::new()),
        };
        GroupTable {
            types: types.to_vec(),
            layout: KeyLayout::new(types.iter().map(|&t| KeyColumn::ascending(t)).collect()),
            keys: types.iter().map(|&t| builder_for(t, 0)).collect(),
            keep_keys: true,
            len: 0,
            slots: vec![0; 64],
            index,
            null_group: None,
            key_bytes: 0,
            scratch: Scratch::default(),
        }
    }

    /// A table whose keys are never asked for again: [`GroupTable::take_keys`] does not work.
    pub fn without_keys(types: &[DataType]) -> GroupTable {
        // A table of packed keys may need its keys to turn into one of long ones.
        let mut table = GroupTable::new(types);
        table.keep_keys = !matches!(table.index, Index::Word(_) | Index::Bytes { .. });
        table
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// About how much memory the table takes.
    pub fn size_bytes(&self) -> usize {
        let index = match &self.index {
            Index::Word(words) => words.capacity() * 8,
            Index::Words(words) | Index::Packed(words) => words.capacity() * 16,
            Index::Bytes { bytes, ends } => bytes.capacity() + ends.capacity() * 8,
        };
        self.slots.len() * 8 + index + self.key_bytes
    }

    /// The keys in group order; the table is empty after.
    pub fn take_keys(&mut self) -> Vec<Arc<Vector>> {
        let fresh = GroupTable::new(&self.types);
        let old = std::mem::replace(self, fresh);
        old.keys.into_iter().map(|column| Arc::new(column.finish())).collect()
    }

    /// The group of each row, made if it is new; `first` takes the rows that were the first of theirs.
    pub fn insert(
        &mut self,
        columns: &[Arc<Vector>],
        rows: usize,
        groups: &mut Vec<u32>,
        first: Option<&mut Vec<u32>>,
    ) -> Result<()> {
        groups.clear();
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.new_rows.clear();
        let nulls = self.prepare(columns, rows, &mut scratch)?;
        self.reserve(rows);
        match &mut self.index {
            Index::Word(known) => {
                let keys = &scratch.word;
                for row in 0..rows {
                    if nulls && columns[0].is_null(row) {
                        let group = *self.null_group.get_or_insert_with(|| {
                            known.push(0);
                            scratch.new_rows.push(row as u32);
                            self.len += 1;
                            (self.len - 1) as u32
                        });
                        groups.push(group);
                        continue;
                    }
                    groups.push(enter(
                        &mut self.slots,
                        &mut self.len,
                        scratch.hashes[row],
                        row,
                        &mut scratch.new_rows,
                        known,
                        |known, group| known[group] == keys[row],
                        |known| known.push(keys[row]),
                    ));
                }
            }
            Index::Words(known) | Index::Packed(known) => {
                let keys = &scratch.words;
                for row in 0..rows {
                    groups.push(enter(
                        &mut self.slots,
                        &mut self.len,
                        scratch.hashes[row],
                        row,
                        &mut scratch.new_rows,
                        known,
                        |known, group| known[group] == keys[row],
                        |known| known.push(keys[row]),
                    ));
                }
            }
            Index::Bytes { bytes, ends } => {
                let mut known = (bytes, ends);
                for row in 0..rows {
                    let key = slice_of(&scratch.bytes, &scratch.ends, row);
                    groups.push(enter(
                        &mut self.slots,
                        &mut self.len,
                        scratch.hashes[row],
                        row,
                        &mut scratch.new_rows,
                        &mut known,
                        |(bytes, ends), group| slice_of(bytes, ends, group) == key,
                        |(bytes, ends)| {
                            bytes.extend_from_slice(key);
                            ends.push(bytes.len());
                        },
                    ));
                }
            }
        }
        if self.keep_keys && !scratch.new_rows.is_empty() {
            for (column, vector) in self.keys.iter_mut().zip(columns) {
                column.extend_at(vector, &scratch.new_rows);
                self.key_bytes += vector.size_bytes() * scratch.new_rows.len() / rows.max(1);
            }
        }
        if let Some(first) = first {
            first.clear();
            first.extend_from_slice(&scratch.new_rows);
        }
        self.scratch = scratch;
        Ok(())
    }

    /// The group of each row, or [`NO_GROUP`].
    pub fn find(&mut self, columns: &[Arc<Vector>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        groups.clear();
        let mut scratch = std::mem::take(&mut self.scratch);
        let nulls = self.prepare(columns, rows, &mut scratch)?;
        let mask = self.slots.len() - 1;
        // First the slots of all rows, then the keys they lead to: each loop's misses overlap.
        groups.extend(scratch.hashes.iter().map(|&hash| {
            let mut position = hash as usize & mask;
            loop {
                let slot = self.slots[position];
                if slot == 0 {
                    return NO_GROUP;
                }
                if slot >> 32 == hash >> 32 {
                    return (slot as u32) - 1;
                }
                position = (position + 1) & mask;
            }
        }));
        let again = |row: usize, same: &dyn Fn(usize) -> bool| lookup(&self.slots, scratch.hashes[row], same);
        match &self.index {
            Index::Word(known) => {
                for (row, group) in groups.iter_mut().enumerate() {
                    let key = scratch.word[row];
                    if nulls && columns[0].is_null(row) {
                        *group = self.null_group.unwrap_or(NO_GROUP);
                    } else if *group != NO_GROUP && known[*group as usize] != key {
                        *group = again(row, &|group| known[group] == key);
                    }
                }
            }
            Index::Words(known) | Index::Packed(known) => {
                for (row, group) in groups.iter_mut().enumerate() {
                    let key = scratch.words[row];
                    if *group != NO_GROUP && known[*group as usize] != key {
                        *group = again(row, &|group| known[group] == key);
                    }
                }
            }
            Index::Bytes { bytes, ends } => {
                for (row, group) in groups.iter_mut().enumerate() {
                    let key = slice_of(&scratch.bytes, &scratch.ends, row);
                    if *group != NO_GROUP && slice_of(bytes, ends, *group as usize) != key {
                        *group = again(row, &|group| slice_of(bytes, ends, group) == key);
                    }
                }
            }
        }
        self.scratch = scratch;
        Ok(())
    }

    /// Brings the batch's keys into the table's form, turning the table to a more general one where the
    /// batch asks for it. Returns whether a [`Index::Word`] column has NULLs.
    fn prepare(&mut self, columns: &[Arc<Vector>], rows: usize, scratch: &mut Scratch) -> Result<bool> {
        scratch.hashes.clear();
        let mut nulls = false;
        if let Index::Words(_) = self.index
            && columns.iter().any(|column| column.has_nulls())
        {
            self.generalize()?;
        }
        match &self.index {
            Index::Word(_) => {
                scratch.word.clear();
                words_of(&columns[0], rows, &mut scratch.word);
                nulls = columns[0].has_nulls();
                scratch.hashes.extend(scratch.word.iter().map(|&word| hash_word(word)));
            }
            Index::Words(_) => {
                scratch.word.clear();
                words_of(&columns[0], rows, &mut scratch.word);
                words_of(&columns[1], rows, &mut scratch.word);
                let (a, b) = scratch.word.split_at(rows);
                scratch.words.clear();
                scratch.words.extend(a.iter().zip(b).map(|(&a, &b)| [a, b]));
                scratch.hashes.extend(scratch.words.iter().map(|&words| hash_words(words)));
            }
            Index::Packed(_) | Index::Bytes { .. } => {
                scratch.bytes.clear();
                scratch.ends.clear();
                let columns: Vec<&Vector> = columns.iter().map(|column| &**column).collect();
                self.layout.encode_all(&columns, rows, &mut scratch.bytes, &mut scratch.ends)?;
                let longest = (0..rows).map(|row| slice_of(&scratch.bytes, &scratch.ends, row).len()).max();
                if matches!(self.index, Index::Packed(_)) && longest.unwrap_or(0) > 16 {
                    self.generalize()?;
                }
                if matches!(self.index, Index::Packed(_)) {
                    scratch.words.clear();
                    for row in 0..rows {
                        scratch.words.push(pack(slice_of(&scratch.bytes, &scratch.ends, row)));
                    }
                    scratch.hashes.extend(scratch.words.iter().map(|&words| hash_words(words)));
                } else {
                    for row in 0..rows {
                        scratch.hashes.push(hash_bytes(slice_of(&scratch.bytes, &scratch.ends, row)));
                    }
                }
            }
        }
        Ok(nulls)
    }

    /// Turns the index into [`Index::Bytes`].
    fn generalize(&mut self) -> Result<()> {
        let fresh: Vec<VectorBuilder> = self.types.iter().map(|&t| builder_for(t, self.len)).collect();
        let builders = std::mem::replace(&mut self.keys, fresh);
        let keys: Vec<Vector> = builders.into_iter().map(VectorBuilder::finish).collect();
        for (builder, vector) in self.keys.iter_mut().zip(&keys) {
            builder.extend(vector);
        }
        let columns: Vec<&Vector> = keys.iter().collect();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        self.layout.encode_all(&columns, self.len, &mut bytes, &mut ends)?;
        self.index = Index::Bytes { bytes, ends };
        self.rehash(self.slots.len());
        Ok(())
    }

    /// Makes room for `more` keys.
    fn reserve(&mut self, more: usize) {
        let wanted = ((self.len + more) * 2).next_power_of_two();
        if wanted > self.slots.len() {
            // Growing for a batch of repeats would waste memory: count only what could be half new.
            let wanted = wanted.max(self.slots.len() * 2);
            self.rehash(wanted);
        }
    }

    fn rehash(&mut self, size: usize) {
        self.slots.clear();
        self.slots.resize(size, 0);
        let mask = size - 1;
        for group in 0..self.len {
            if self.null_group == Some(group as u32) && matches!(self.index, Index::Word(_)) {
                continue;
            }
            let hash = match &self.index {
                Index::Word(known) => hash_word(known[group]),
                Index::Words(known) | Index::Packed(known) => hash_words(known[group]),
                Index::Bytes { bytes, ends } => hash_bytes(slice_of(bytes, ends, group)),
            };
            let mut position = hash as usize & mask;
            while self.slots[position] != 0 {
                position = (position + 1) & mask;
            }
            self.slots[position] = (hash >> 32) << 32 | (group as u64 + 1);
        }
    }
}

/// Finds the key or enters it as the next group.
#[inline(always)]
fn enter<K>(
    slots: &mut [u64],
    len: &mut usize,
    hash: u64,
    row: usize,
    new_rows: &mut Vec<u32>,
    known: &mut K,
    same: impl Fn(&K, usize) -> bool,
    add: impl FnOnce(&mut K),
) -> u32 {
    let mask = slots.len() - 1;
    let mut position = hash as usize & mask;
    loop {
        let slot = slots[position];
        if slot == 0 {
            let group = *len as u32;
            slots[position] = (hash >> 32) << 32 | (u64::from(group) + 1);
            add(known);
            new_rows.push(row as u32);
            *len += 1;
            return group;
        }
        if slot >> 32 == hash >> 32 {
            let group = (slot as u32) - 1;
            if same(known, group as usize) {
                return group;
            }
        }
        position = (position + 1) & mask;
    }
}

fn lookup(slots: &[u64], hash: u64, same: &dyn Fn(usize) -> bool) -> u32 {
    let mask = slots.len() - 1;
    let mut position = hash as usize & mask;
    loop {
        let slot = slots[position];
        if slot == 0 {
            return NO_GROUP;
        }
        if slot >> 32 == hash >> 32 && same((slot as u32) as usize - 1) {
            return (slot as u32) - 1;
        }
        position = (position + 1) & mask;
    }
}

#[inline]
fn slice_of<'b>(bytes: &'b [u8], ends: &[usize], index: usize) -> &'b [u8] {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[start..ends[index]]
}

/// At most 16 bytes, zero-padded. No key is a prefix of another, so padding keeps them apart.
#[inline]
fn pack(key: &[u8]) -> [u64; 2] {
    let mut padded = [0u8; 16];
    padded[..key.len()].copy_from_slice(key);
    let [a, b] = [&padded[..8], &padded[8..]]
        .map(|half| half.iter().fold(0u64, |word, &byte| word << 8 | u64::from(byte)));
    [a, b]
}

fn hash_bytes(key: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(key)
}

/// Distinct rows of a batch, by their first occurrence in `table`.
pub fn first_rows(table: &mut GroupTable, batch: &Batch, first: &mut Vec<u32>) -> Result<()> {
    let mut groups = Vec::with_capacity(batch.len());
    table.insert(batch.columns(), batch.len(), &mut groups, Some(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Value;

    fn column(data_type: DataType, values: &[Value]) -> Arc<Vector> {
        let mut builder = builder_for(data_type, values.len());
        values.iter().for_each(|value| builder.push(value));
        Arc::new(builder.finish())
    }

    /// Against a map over values, for each kind of key.
    fn check(types: &[DataType], rows: &[Vec<Value>]) {
        let mut table = GroupTable::new(types);
        let mut known: Vec<Vec<Value>> = Vec::new();
        for part in rows.chunks(7) {
            let columns: Vec<Arc<Vector>> = (0..types.len())
                .map(|c| column(types[c], &part.iter().map(|row| row[c].clone()).collect::<Vec<_>>()))
                .collect();
            let mut found = Vec::new();
            table.find(&columns, part.len(), &mut found).unwrap();
            for (row, group) in part.iter().zip(&found) {
                let expected = known.iter().position(|k| k == row).map_or(NO_GROUP, |p| p as u32);
                assert_eq!(*group, expected, "{row:?}");
            }
            let mut groups = Vec::new();
            table.insert(&columns, part.len(), &mut groups, None).unwrap();
            for (row, group) in part.iter().zip(groups) {
                let expected = known.iter().position(|k| k == row).unwrap_or_else(|| {
                    known.push(row.clone());
                    known.len() - 1
                });
                assert_eq!(group as usize, expected, "{row:?}");
            }
        }
        assert_eq!(table.len(), known.len());
        let keys = table.take_keys();
        for (group, row) in known.iter().enumerate() {
            let key: Vec<Value> = keys.iter().map(|column| column.value(group)).collect();
            assert_eq!(&key, row);
        }
    }

    #[test]
    fn keys_of_every_form_are_told_apart() {
        let int = |n: i32| if n % 11 == 0 { Value::Null } else { Value::Int32(n % 37) };
        check(&[DataType::INT4], &(0..300).map(|n| vec![int(n)]).collect::<Vec<_>>());
        check(
            &[DataType::INT4, DataType::INT4],
            &(0..300).map(|n| vec![int(n), int(n / 3)]).collect::<Vec<_>>(),
        );
        let text = |n: usize| Value::text("x".repeat(n % 23));
        check(&[DataType::TEXT], &(0..100).map(|n| vec![text(n)]).collect::<Vec<_>>());
        check(
            &[DataType::TEXT, DataType::INT8],
            &(0..100).map(|n| vec![text(n), Value::Int64(n as i64 % 5)]).collect::<Vec<_>>(),
        );
    }
}
