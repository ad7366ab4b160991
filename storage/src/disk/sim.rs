//! A disk in memory that can lose what was not synced, tear writes and fail, all from a seed.
//!
//! Used by crash tests: run against it with a budget of writes, `crash` it, open what is left. Each
//! unsynced write is, at a crash, kept, dropped or torn at 512-byte sectors, independently of the others;
//! unsynced creations, renames and removals are kept up to a random one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};

const SECTOR: usize = 512;

/// A small generator (xorshift*), so that a seed replays.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        rng.random();
        rng
    }

    pub fn random(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `n`, which is positive.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.random() >> 11) % n
    }
}

enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Naming {
    Create(String, Arc<Mutex<Content>>),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct State {
    names: BTreeMap<String, Arc<Mutex<Content>>>,
    durable_names: BTreeMap<String, Arc<Mutex<Content>>>,
    naming: Vec<Naming>,
    /// Changes still allowed before the power goes.
    budget: Option<u64>,
    changes: u64,
    fail_syncs: bool,
    /// Files whose syncs fail: those whose name begins like this.
    fail_sync_of: Option<String>,
    /// The most bytes that all files together may have.
    capacity: Option<u64>,
    /// A full disk refuses writes in place, too.
    copies_on_write: bool,
}

/// See the file's header. Clones share the disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

fn used(state: &State) -> u64 {
    state.names.values().map(|content| content.lock().current.len() as u64).sum()
}

fn power_cut() -> io::Error {
    io::Error::other("the simulated power is cut")
}

fn write_into(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = offset as usize + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset as usize..end].copy_from_slice(data);
}

impl SimDisk {
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// After `changes` more writes, syncs or renames every operation fails.
    pub fn cut_after(&self, changes: u64) {
        self.state.lock().budget = Some(changes);
    }

    /// Every sync fails from now on (or works again).
    pub fn fail_syncs(&self, fail: bool) {
        self.state.lock().fail_syncs = fail;
    }

    /// Syncs of the files whose names begin with `prefix` fail from now on (`None`: work again).
    pub fn fail_syncs_of(&self, prefix: Option<&str>) {
        self.state.lock().fail_sync_of = prefix.map(str::to_owned);
    }

    /// From now on the files together cannot grow beyond so many bytes (`None`: they can). With
    /// `copies_on_write`, a disk with no byte left refuses every write.
    pub fn limit(&self, capacity: Option<u64>, copies_on_write: bool) {
        let mut state = self.state.lock();
        state.capacity = capacity;
        state.copies_on_write = copies_on_write;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        used(&self.state.lock())
    }

    /// How many bytes of a write are accepted: all, or as many as there is room for.
    fn room_for(&self, len: usize, offset: u64, data: usize) -> usize {
        let state = self.state.lock();
        let Some(capacity) = state.capacity else { return data };
        let left = capacity.saturating_sub(used(&state));
        if state.copies_on_write && left == 0 {
            return 0;
        }
        let growth = (offset + data as u64).saturating_sub(len as u64);
        data - (growth.saturating_sub(left)).min(data as u64) as usize
    }

    /// How many changes were made so far.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// The disk as the next start finds it.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut rng = Rng::new(seed);
        let state = self.state.lock();
        let mut names = state.durable_names.clone();
        let keep = rng.below(state.naming.len() as u64 + 1) as usize;
        for naming in &state.naming[..keep] {
            apply_naming(&mut names, naming);
        }
        let names: BTreeMap<String, Arc<Mutex<Content>>> = names
            .into_iter()
            .map(|(name, content)| {
                let survived = survive(&content.lock(), &mut rng);
                let content = Content { current: survived.clone(), durable: survived, pending: Vec::new() };
                (name, Arc::new(Mutex::new(content)))
            })
            .collect();
        let state = State { durable_names: names.clone(), names, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Overwrites bytes behind the store's back, durably: a rotten sector.
    pub fn damage(&self, name: &str, offset: u64, change: impl FnOnce(&mut [u8])) {
        let content = self.state.lock().names.get(name).cloned();
        if let Some(content) = content {
            let mut content = content.lock();
            let Content { current, durable, .. } = &mut *content;
            if let Some(bytes) = current.get_mut(offset as usize..) {
                change(bytes);
            }
            durable.clone_from(current);
        }
    }

    /// The bytes of a file as a reader would see them.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let content = self.state.lock().names.get(name).cloned()?;
        let bytes = content.lock().current.clone();
        Some(bytes)
    }

    fn spend(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Some(budget) = &mut state.budget {
            if *budget == 0 {
                return Err(power_cut());
            }
            *budget -= 1;
        }
        state.changes += 1;
        Ok(())
    }

    fn alive(&self) -> io::Result<()> {
        if self.state.lock().budget == Some(0) { Err(power_cut()) } else { Ok(()) }
    }
}

fn apply_naming(names: &mut BTreeMap<String, Arc<Mutex<Content>>>, naming: &Naming) {
    match naming {
        Naming::Create(name, content) => {
            names.insert(name.clone(), content.clone());
        }
        Naming::Rename(from, to) => {
            if let Some(content) = names.remove(from) {
                names.insert(to.clone(), content);
            }
        }
        Naming::Remove(name) => {
            names.remove(name);
        }
    }
}

fn survive(content: &Content, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = content.durable.clone();
    for change in &content.pending {
        match change {
            Change::Length(len) => {
                if rng.below(2) == 0 {
                    bytes.resize(*len as usize, 0);
                }
            }
            Change::Write(offset, data) => match rng.below(4) {
                0 => {}
                1 => {
                    for (i, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.below(2) == 0 {
                            write_into(&mut bytes, offset + (i * SECTOR) as u64, sector);
                        }
                    }
                }
                _ => write_into(&mut bytes, *offset, data),
            },
        }
    }
    bytes
}

impl Disk for SimDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.alive()?;
        let known = self.state.lock().names.get(name).cloned();
        let content = match known {
            Some(content) => content,
            None if create => {
                self.spend()?;
                let content = Arc::new(Mutex::new(Content::default()));
                let mut state = self.state.lock();
                state.names.insert(name.to_owned(), content.clone());
                state.naming.push(Naming::Create(name.to_owned(), content.clone()));
                content
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(SimFile { disk: self.clone(), name: name.to_owned(), content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.spend()?;
        let mut state = self.state.lock();
        let content = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), content);
        state.naming.push(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.spend()?;
        let mut state = self.state.lock();
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.naming.push(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.alive()?;
        Ok(self.state.lock().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.spend()?;
        let mut state = self.state.lock();
        let naming = std::mem::take(&mut state.naming);
        for change in &naming {
            apply_naming(&mut state.durable_names, change);
        }
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    /// As it was opened.
    name: String,
    content: Arc<Mutex<Content>>,
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.alive()?;
        let content = self.content.lock();
        let from = offset as usize;
        match content.current.get(from..from + buf.len()) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.disk.spend()?;
        let len = self.content.lock().current.len();
        let accepted = self.disk.room_for(len, offset, buf.len());
        let written = &buf[..accepted];
        let mut content = self.content.lock();
        if accepted > 0 {
            write_into(&mut content.current, offset, written);
            content.pending.push(Change::Write(offset, written.to_vec()));
        }
        if accepted < buf.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "No space left on device"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.spend()?;
        {
            let state = self.disk.state.lock();
            let mine = state.fail_sync_of.as_ref().is_some_and(|prefix| self.name.starts_with(prefix));
            if state.fail_syncs || mine {
                return Err(io::Error::other("the simulated sync failed"));
            }
        }
        let mut content = self.content.lock();
        let pending = std::mem::take(&mut content.pending);
        for change in pending {
            match change {
                Change::Write(offset, data) => write_into(&mut content.durable, offset, &data),
                Change::Length(len) => content.durable.resize(len as usize, 0),
            }
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.alive()?;
        Ok(self.content.lock().current.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.spend()?;
        let mut content = self.content.lock();
        content.current.resize(len as usize, 0);
        content.pending.push(Change::Length(len));
        Ok(())
    }

    fn extend(&self, len: u64) -> io::Result<()> {
        let have = self.size()?;
        super::fill(self, have, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synced_writes_survive_and_others_may_not() {
        let disk = SimDisk::new();
        let file = disk.open("f", true).unwrap();
        disk.sync_dir().unwrap();
        file.write_at(&[1; 4096], 0).unwrap();
        file.sync().unwrap();
        file.write_at(&[2; 4096], 0).unwrap();
        let mut seen = [false; 3];
        for seed in 0..50 {
            let bytes = disk.crash(seed).bytes("f").unwrap();
            let twos = bytes.iter().filter(|b| **b == 2).count();
            seen[if twos == 0 {
                0
            } else if twos == 4096 {
                1
            } else {
                2
            }] = true;
        }
        assert_eq!(seen, [true; 3]);
        disk.cut_after(1);
        file.write_at(&[3], 0).unwrap();
        assert!(file.write_at(&[3], 0).is_err());
        assert!(file.sync().is_err());
    }
}
