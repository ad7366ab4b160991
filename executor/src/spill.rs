//! Runs that went to disk: batches written once, read back in order.
//!
//! Files lie in the statement's `temp_dir` and are unlinked as soon as they are open, so that nothing is
//! left behind whatever happens. Rows are in `types::row`'s form, each behind its length.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use types::row::{RowDecoder, RowLayout};
use types::{BATCH_SIZE, Batch, Data, DataType, Error, Result, Strings, Validity, Vector};

use crate::context::ExecContext;
use crate::table::keys::EncodedKeys;

static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

/// Writes a run.
pub struct RunWriter {
    file: BufWriter<File>,
    layout: Arc<RowLayout>,
    rows: u64,
    bytes: u64,
    record: Vec<u8>,
}

/// Reads a run.
pub struct RunReader {
    file: BufReader<File>,
    decoder: RowDecoder,
    left: u64,
    bytes: u64,
    record: Vec<u8>,
}

impl RunWriter {
    /// A run of rows of these types. 58030 or 53100 when no file can be made.
    pub fn new(types: &[DataType], cx: &ExecContext) -> Result<RunWriter> {
        let directory = &cx.environment().temp_dir;
        std::fs::create_dir_all(directory)
            .map_err(|e| Error::io(format!("could not create directory \"{}\"", directory.display()), &e))?;
        let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("spill-{}-{number}", std::process::id()));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(|e| {
                Error::io(format!("could not create temporary file \"{}\"", path.display()), &e)
            })?;
        std::fs::remove_file(&path)
            .map_err(|e| Error::io(format!("could not unlink temporary file \"{}\"", path.display()), &e))?;
        Ok(RunWriter {
            file: BufWriter::with_capacity(1 << 16, file),
            layout: Arc::new(RowLayout::new(types)),
            rows: 0,
            bytes: 0,
            record: Vec::new(),
        })
    }

    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        for row in 0..batch.len() {
            self.write_row(batch, row)?;
        }
        Ok(())
    }

    pub fn write_row(&mut self, batch: &Batch, row: usize) -> Result<()> {
        self.record.clear();
        self.record.extend_from_slice(&[0; 4]);
        self.layout.encode_batch_row(batch, row, &mut self.record)?;
        let length = u32::try_from(self.record.len() - 4).map_err(|_| Error::internal("row too long"))?;
        self.record[..4].copy_from_slice(&length.to_le_bytes());
        self.file.write_all(&self.record).map_err(|e| Error::io("could not write temporary file", &e))?;
        self.rows += 1;
        self.bytes += self.record.len() as u64;
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the run and returns to its beginning.
    pub fn finish(self) -> Result<RunReader> {
        let mut file =
            self.file.into_inner().map_err(|e| Error::io("could not write temporary file", e.error()))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("could not seek in temporary file", &e))?;
        let columns: Vec<usize> = (0..self.layout.len()).collect();
        Ok(RunReader {
            file: BufReader::with_capacity(1 << 16, file),
            decoder: RowDecoder::new(&self.layout, &columns),
            left: self.rows,
            bytes: self.bytes,
            record: self.record,
        })
    }
}

impl RunReader {
    /// The next rows; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Batch>> {
        if self.left == 0 {
            return Ok(None);
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(BATCH_SIZE);
        let mut builders = self.decoder.builders(count);
        let failed = |e| Error::io("could not read temporary file", &e);
        for _ in 0..count {
            let mut length = [0; 4];
            self.file.read_exact(&mut length).map_err(failed)?;
            self.record.resize(u32::from_le_bytes(length) as usize, 0);
            self.file.read_exact(&mut self.record).map_err(failed)?;
            self.decoder.decode(&self.record, &mut builders)?;
        }
        self.left -= count as u64;
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Ok(Some(Batch::new(columns, count)))
    }

    pub fn rows_left(&self) -> u64 {
        self.left
    }

    pub fn size_bytes(&self) -> u64 {
        self.bytes
    }
}

/// Sorts (key, record) pairs of any number: in memory up to a budget, through runs beyond.
pub struct EntrySorter {
    keys: EncodedKeys,
    records: EncodedKeys,
    budget_bytes: usize,
    runs: Vec<RunReader>,
}

impl EntrySorter {
    pub fn new(budget_bytes: usize) -> EntrySorter {
        EntrySorter {
            keys: EncodedKeys::default(),
            records: EncodedKeys::default(),
            budget_bytes,
            runs: Vec::new(),
        }
    }

    pub fn push(&mut self, key: &[u8], record: &[u8], cx: &ExecContext) -> Result<()> {
        self.keys.push(key);
        self.records.push(record);
        if self.keys.size_bytes() + self.records.size_bytes() > self.budget_bytes {
            self.spill(cx)?;
        }
        Ok(())
    }

    fn spill(&mut self, cx: &ExecContext) -> Result<()> {
        let mut writer = RunWriter::new(&[DataType::BYTEA, DataType::BYTEA], cx)?;
        for part in self.keys.sorted().chunks(BATCH_SIZE) {
            let column = |values: &EncodedKeys| {
                let strings: Strings = part.iter().map(|&row| values.get(row as usize)).collect();
                Arc::new(Vector::flat(Data::Bytea(strings), Validity::all()))
            };
            let columns = vec![column(&self.keys), column(&self.records)];
            writer.write(&Batch::new(columns, part.len()))?;
        }
        self.runs.push(writer.finish()?);
        self.keys = EncodedKeys::default();
        self.records = EncodedKeys::default();
        Ok(())
    }

    /// Calls `f` with every pair in key order; equal keys come in the order they were pushed.
    pub fn finish(mut self, cx: &ExecContext, mut f: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        if self.runs.is_empty() {
            let order = self.keys.sorted();
            for (count, row) in order.into_iter().enumerate() {
                if count % BATCH_SIZE == 0 {
                    cx.check_interrupt()?;
                }
                f(self.keys.get(row as usize), self.records.get(row as usize))?;
            }
            return Ok(());
        }
        if !self.keys.is_empty() {
            self.spill(cx)?;
        }
        let mut sources = Vec::new();
        let mut heap = std::collections::BinaryHeap::new();
        for (number, run) in std::mem::take(&mut self.runs).into_iter().enumerate() {
            let mut source = PairSource { run, batch: Batch::default(), row: 0 };
            if let Some((key, record)) = source.next()? {
                heap.push(std::cmp::Reverse((key, number, record)));
            }
            sources.push(source);
        }
        let mut count = 0usize;
        while let Some(std::cmp::Reverse((key, number, record))) = heap.pop() {
            count += 1;
            if count.is_multiple_of(BATCH_SIZE) {
                cx.check_interrupt()?;
            }
            f(&key, &record)?;
            if let Some((key, record)) = sources[number].next()? {
                heap.push(std::cmp::Reverse((key, number, record)));
            }
        }
        Ok(())
    }
}

struct PairSource {
    run: RunReader,
    batch: Batch,
    row: usize,
}

impl PairSource {
    fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        if self.row >= self.batch.len() {
            let Some(batch) = self.run.read()? else { return Ok(None) };
            self.batch = batch;
            self.row = 0;
        }
        let value = |column: usize| match self.batch.column(column).data() {
            Data::Bytea(values) => Ok(values.get(self.row).to_vec()),
            _ => Err(Error::internal("a run of other columns")),
        };
        let pair = (value(0)?, value(1)?);
        self.row += 1;
        Ok(Some(pair))
    }
}
