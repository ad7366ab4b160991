//! Runs that went to disk: batches written once, read back in order.
//!
//! Files lie in the statement's `temp_dir` and are unlinked as soon as they are open, so that nothing is
//! left behind whatever happens. Rows are in `types::row`'s form, each behind its length.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use types::row::{RowDecoder, RowLayout};
use types::{BATCH_SIZE, Batch, DataType, Error, Result};

use crate::context::ExecContext;

static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

/// An open file without a name in the statement's `temp_dir`. 58030 or 53100 when none can be made.
pub(crate) fn temporary_file(cx: &ExecContext) -> Result<File> {
    let directory = &cx.environment().temp_dir;
    std::fs::create_dir_all(directory)
        .map_err(|e| Error::io(format!("could not create directory \"{}\"", directory.display()), &e))?;
    let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("spill-{}-{number}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|e| Error::io(format!("could not create temporary file \"{}\"", path.display()), &e))?;
    std::fs::remove_file(&path)
        .map_err(|e| Error::io(format!("could not unlink temporary file \"{}\"", path.display()), &e))?;
    Ok(file)
}

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
        Ok(RunWriter {
            file: BufWriter::with_capacity(1 << 16, temporary_file(cx)?),
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
