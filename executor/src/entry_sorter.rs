//! Sorts (key, record) pairs of any number: what index builds and table rewrites feed to trees.
//!
//! Pairs lie one after another in one buffer; what is sorted are the bytes in which their keys differ, beside
//! the pair's place, so that almost no comparison looks at a key. A full buffer goes to a thread that sorts
//! and writes it while the caller fills the next. All runs share one unlinked file and are merged at the end.
//!
//! ```text
//! pair   length of key · length of record · key · record        a record that ends its key is not
//!        (both as base-128 numbers; the second's lowest bit:      repeated: most index entries
//!        the record is the end of the key)
//! ```

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use types::{BATCH_SIZE, Error, Result};

use crate::context::ExecContext;
use crate::spill::temporary_file;

/// Places in a buffer are 32 bits wide, and one pair may come on top.
const BUDGET_MOST: usize = 2 << 30;
/// Bytes of a key that are compared without looking at it.
const HEAD: usize = 16;
/// Keys are searched so far for bytes in which they differ.
const HEAD_LOOK: usize = 64;
/// What is read of a run at once.
const READ_MOST: usize = 256 << 10;
const READ_LEAST: usize = 16 << 10;
const WRITE: usize = 256 << 10;

/// A pair's place, and what its key is compared by first.
#[derive(Clone, Copy)]
struct Item {
    high: u64,
    low: u64,
    at: u32,
}

/// Pairs in the order they came.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    count: usize,
    shortest: usize,
}

/// A sorted part of the file.
#[derive(Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
}

pub struct EntrySorter {
    buffer: Buffer,
    /// What the buffer and its sort may take.
    budget_bytes: usize,
    file: Option<Arc<File>>,
    runs: Vec<Run>,
    end: u64,
    sorting: Option<JoinHandle<Result<()>>>,
}

fn put_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number and the bytes it took; `None` when `bytes` end before it does.
#[inline]
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((usize::from(first), 1));
    }
    let mut value = usize::from(first & 0x7f);
    for (i, byte) in bytes.iter().enumerate().take(9).skip(1) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// A pair's parts: where its key begins, the key's length, the record's length, whether the key ends in it.
#[derive(Clone, Copy, Default)]
struct Shape {
    key_at: usize,
    key_len: usize,
    record_len: usize,
    shared: bool,
}

impl Shape {
    #[inline]
    fn of(pair: &[u8]) -> Option<Shape> {
        let (key_len, first) = number(pair)?;
        let (record, second) = number(pair.get(first..)?)?;
        Some(Shape { key_at: first + second, key_len, record_len: record >> 1, shared: record & 1 == 1 })
    }

    /// Bytes of the whole pair.
    fn len(&self) -> usize {
        self.key_at + self.key_len + if self.shared { 0 } else { self.record_len }
    }

    #[inline]
    fn key<'p>(&self, pair: &'p [u8]) -> &'p [u8] {
        &pair[self.key_at..self.key_at + self.key_len]
    }

    #[inline]
    fn record<'p>(&self, pair: &'p [u8]) -> &'p [u8] {
        let end = self.key_at + self.key_len;
        let start = if self.shared { end - self.record_len } else { end };
        &pair[start..start + self.record_len]
    }
}

impl Buffer {
    fn push(&mut self, key: &[u8], record: &[u8]) {
        let shared = key.ends_with(record);
        put_number(key.len(), &mut self.bytes);
        put_number(record.len() << 1 | usize::from(shared), &mut self.bytes);
        self.bytes.extend_from_slice(key);
        if !shared {
            self.bytes.extend_from_slice(record);
        }
        self.shortest = if self.count == 0 { key.len() } else { self.shortest.min(key.len()) };
        self.count += 1;
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len() + self.count * size_of::<Item>()
    }

    /// The pair at a place, and its shape.
    #[inline]
    fn pair(&self, at: usize) -> (&[u8], Shape) {
        let pair = &self.bytes[at..];
        (pair, Shape::of(pair).expect("`push` wrote a whole pair here"))
    }

    /// The first places in which keys differ. Bytes in which all are equal decide nothing; only places that
    /// every key has are looked at, so that gathered bytes compare as the keys do, as far as they go.
    fn differing(&self) -> Vec<usize> {
        let look = self.shortest.min(HEAD_LOOK);
        let mut differ = [0u8; HEAD_LOOK];
        let mut at = 0;
        let first = if self.count > 0 { self.pair(0) } else { return Vec::new() };
        let first = &first.1.key(first.0)[..look];
        for _ in 0..self.count {
            let (pair, shape) = self.pair(at);
            for ((differ, a), b) in differ.iter_mut().zip(first).zip(shape.key(pair)) {
                *differ |= a ^ b;
            }
            at += shape.len();
        }
        (0..look).filter(|place| differ[*place] != 0).take(HEAD).collect()
    }

    /// The pairs in key order; equal keys in the order they came.
    fn sorted(&self) -> Vec<Item> {
        let places = self.differing();
        let mut items = Vec::with_capacity(self.count);
        let mut at = 0;
        for _ in 0..self.count {
            let (pair, shape) = self.pair(at);
            let key = shape.key(pair);
            let mut head = [0u8; HEAD];
            for (byte, place) in head.iter_mut().zip(&places) {
                *byte = key[*place];
            }
            let head = u128::from_be_bytes(head);
            items.push(Item { high: (head >> 64) as u64, low: head as u64, at: at as u32 });
            at += shape.len();
        }
        let key = |item: &Item| {
            let (pair, shape) = self.pair(item.at as usize);
            shape.key(pair)
        };
        // Where all differences fit in the head, equal heads are equal keys.
        let all_seen = places.len() < HEAD && self.shortest <= HEAD_LOOK && self.all_are(self.shortest);
        if all_seen {
            items.sort_unstable_by_key(|item| (item.high, item.low, item.at));
        } else {
            items.sort_unstable_by(|a, b| {
                (a.high, a.low)
                    .cmp(&(b.high, b.low))
                    .then_with(|| key(a).cmp(key(b)))
                    .then_with(|| a.at.cmp(&b.at))
            });
        }
        items
    }

    fn all_are(&self, len: usize) -> bool {
        let mut at = 0;
        (0..self.count).all(|_| {
            let shape = self.pair(at).1;
            at += shape.len();
            shape.key_len == len
        })
    }
}

impl EntrySorter {
    pub fn new(budget_bytes: usize) -> EntrySorter {
        EntrySorter {
            buffer: Buffer::default(),
            // One buffer is sorted while the next is filled.
            budget_bytes: (budget_bytes / 2).min(BUDGET_MOST),
            file: None,
            runs: Vec::new(),
            end: 0,
            sorting: None,
        }
    }

    #[inline]
    pub fn push(&mut self, key: &[u8], record: &[u8], cx: &ExecContext) -> Result<()> {
        self.buffer.push(key, record);
        if self.buffer.size_bytes() > self.budget_bytes {
            self.spill(cx)?;
        }
        Ok(())
    }

    fn spill(&mut self, cx: &ExecContext) -> Result<()> {
        self.join(cx)?;
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = Arc::new(temporary_file(cx)?);
                self.file = Some(file.clone());
                file
            }
        };
        let capacity = self.buffer.bytes.capacity();
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer.bytes.reserve(capacity.min(self.budget_bytes));
        let run = Run { start: self.end, end: self.end + buffer.bytes.len() as u64 };
        self.end = run.end;
        self.runs.push(run);
        let work = move || write_run(&buffer, &file, run);
        let thread = std::thread::Builder::new().name("sort".into()).spawn(work);
        self.sorting = Some(thread.map_err(|e| Error::io("could not start a thread for sorting", &e))?);
        Ok(())
    }

    /// Waits for the run that is being written.
    fn join(&mut self, cx: &ExecContext) -> Result<()> {
        let Some(thread) = self.sorting.take() else { return Ok(()) };
        while !thread.is_finished() {
            cx.check_interrupt()?;
            std::thread::sleep(Duration::from_micros(200));
        }
        thread.join().unwrap_or_else(|_| Err(Error::internal("the thread that sorts has panicked")))
    }

    /// Calls `f` with every pair in key order; equal keys come in the order they were pushed.
    pub fn finish(mut self, cx: &ExecContext, mut f: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let mut count = 0usize;
        let mut tick = || {
            count += 1;
            if count.is_multiple_of(BATCH_SIZE) { cx.check_interrupt() } else { Ok(()) }
        };
        if self.runs.is_empty() {
            for item in self.buffer.sorted() {
                tick()?;
                let (pair, shape) = self.buffer.pair(item.at as usize);
                f(shape.key(pair), shape.record(pair))?;
            }
            return Ok(());
        }
        if self.buffer.count > 0 {
            self.spill(cx)?;
        }
        self.join(cx)?;
        self.buffer = Buffer::default();
        let Some(file) = self.file.take() else { return Err(Error::internal("runs without a file")) };
        let read = (self.budget_bytes / self.runs.len()).clamp(READ_LEAST, READ_MOST);
        let mut merge = Merge::new(&file, &self.runs, read)?;
        while let Some(source) = merge.smallest() {
            tick()?;
            f(source.key(), source.record())?;
            merge.advance()?;
        }
        Ok(())
    }
}

/// Sorts a buffer and writes it to its place in the file.
fn write_run(buffer: &Buffer, file: &File, run: Run) -> Result<()> {
    let mut out = Vec::with_capacity(WRITE);
    let mut at = run.start;
    let mut write = |out: &mut Vec<u8>| {
        file.write_all_at(out, at).map_err(|e| Error::io("could not write temporary file", &e))?;
        at += out.len() as u64;
        out.clear();
        Ok::<(), Error>(())
    };
    for item in buffer.sorted() {
        let (pair, shape) = buffer.pair(item.at as usize);
        if out.len() + shape.len() > WRITE {
            write(&mut out)?;
        }
        out.extend_from_slice(&pair[..shape.len()]);
    }
    write(&mut out)
}

/// Reads a run pair by pair.
struct Source<'f> {
    file: &'f File,
    /// What is not yet in the buffer.
    left: Run,
    buffer: Vec<u8>,
    /// The current pair in the buffer.
    at: usize,
    shape: Shape,
    /// The first bytes of its key.
    head: u128,
    read_bytes: usize,
}

impl<'f> Source<'f> {
    fn new(file: &'f File, run: Run, read_bytes: usize) -> Source<'f> {
        let (buffer, shape) = (Vec::new(), Shape::default());
        Source { file, left: run, buffer, at: 0, shape, head: 0, read_bytes }
    }

    fn key(&self) -> &[u8] {
        self.shape.key(&self.buffer[self.at..])
    }

    fn record(&self) -> &[u8] {
        self.shape.record(&self.buffer[self.at..])
    }

    /// Goes to the next pair; false at the end.
    fn next(&mut self) -> Result<bool> {
        self.at += self.shape.len();
        self.shape = Shape::default();
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(shape) = Shape::of(rest)
                && shape.len() <= rest.len()
            {
                let key = shape.key(rest);
                self.head = match key.first_chunk::<HEAD>() {
                    Some(head) => u128::from_be_bytes(*head),
                    None => {
                        let mut head = [0u8; HEAD];
                        head[..key.len()].copy_from_slice(key);
                        u128::from_be_bytes(head)
                    }
                };
                self.shape = shape;
                return Ok(true);
            }
            if self.left.start == self.left.end {
                let whole = self.at == self.buffer.len();
                return if whole { Ok(false) } else { Err(Error::internal("a run ends within a pair")) };
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let kept = self.buffer.len();
        let left = self.left.end - self.left.start;
        // A pair longer than the buffer makes it grow.
        let more = self.read_bytes.max(kept).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.resize(kept + more, 0);
        self.file
            .read_exact_at(&mut self.buffer[kept..], self.left.start)
            .map_err(|e| Error::io("could not read temporary file", &e))?;
        self.left.start += more as u64;
        Ok(())
    }

    fn is_before(&self, other: &Source<'_>) -> bool {
        match self.head.cmp(&other.head) {
            Ordering::Equal => self.key() < other.key(),
            order => order == Ordering::Less,
        }
    }
}

/// The runs as one; those with equal keys in the order they were made.
struct Merge<'f> {
    sources: Vec<Source<'f>>,
    /// A heap of the sources that have a pair.
    order: Vec<usize>,
}

impl<'f> Merge<'f> {
    fn new(file: &'f File, runs: &[Run], read_bytes: usize) -> Result<Merge<'f>> {
        let mut merge = Merge { sources: Vec::with_capacity(runs.len()), order: Vec::new() };
        for run in runs {
            let mut source = Source::new(file, *run, read_bytes);
            if source.next()? {
                merge.order.push(merge.sources.len());
            }
            merge.sources.push(source);
        }
        for at in (0..merge.order.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    fn smallest(&self) -> Option<&Source<'f>> {
        self.order.first().map(|number| &self.sources[*number])
    }

    /// Takes the smallest pair away.
    fn advance(&mut self) -> Result<()> {
        let Some(number) = self.order.first() else { return Ok(()) };
        if !self.sources[*number].next()? {
            self.order.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (first, second) = (&self.sources[self.order[a]], &self.sources[self.order[b]]);
        // Of equal keys the earlier run's comes first.
        if self.order[a] < self.order[b] { !second.is_before(first) } else { first.is_before(second) }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.order.len() && self.is_before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.order.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(budget: usize, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        // Everything but the context, which only lends its directory and its patience.
        let file = tempfile::tempfile().unwrap();
        let mut buffer = Buffer::default();
        let (mut runs, mut end) = (Vec::new(), 0);
        for (key, record) in pairs {
            buffer.push(key, record);
            if buffer.size_bytes() > budget {
                let run = Run { start: end, end: end + buffer.bytes.len() as u64 };
                end = run.end;
                write_run(&std::mem::take(&mut buffer), &file, run).unwrap();
                runs.push(run);
            }
        }
        let run = Run { start: end, end: end + buffer.bytes.len() as u64 };
        write_run(&buffer, &file, run).unwrap();
        runs.push(run);
        let mut merge = Merge::new(&file, &runs, 64).unwrap();
        let mut sorted = Vec::new();
        while let Some(source) = merge.smallest() {
            sorted.push((source.key().to_vec(), source.record().to_vec()));
            merge.advance().unwrap();
        }
        sorted
    }

    #[test]
    fn sorts_as_a_stable_sort_does_in_one_run_and_in_many() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for form in 0..4 {
            let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..3000u32)
                .map(|i| {
                    let key = match form {
                        // One length, few bytes that differ, many equal keys.
                        0 => [&[1; 20], (random(700) as u32).to_be_bytes().as_slice()].concat(),
                        // All lengths, the empty one included.
                        1 => (0..random(6)).map(|_| random(3) as u8).collect(),
                        // Differences behind everything that a head can hold.
                        2 => [&[7; 90], random(50).to_be_bytes().as_slice()].concat(),
                        // Differences everywhere.
                        _ => (0..40).map(|_| random(256) as u8).collect(),
                    };
                    let record = match random(3) {
                        0 => key[key.len() / 2..].to_vec(),
                        1 => vec![9; 300],
                        _ => i.to_be_bytes().to_vec(),
                    };
                    (key, record)
                })
                .collect();
            let mut expected = pairs.clone();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            for budget in [usize::MAX, 40_000, 5_000] {
                assert!(sort(budget, &pairs) == expected, "form {form}, budget {budget}");
            }
        }
    }
}
