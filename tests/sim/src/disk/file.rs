//! One file of the simulated disk: what the disk has, and every page that it has not.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::SmallRng;

/// What the kernel writes back as a whole.
const PAGE_BYTES: usize = 4096;
/// What a disk writes whole, on older and on newer disks.
const SECTOR_BYTES: [usize; 2] = [512, PAGE_BYTES];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What is on the disk.
    disk: Vec<u8>,
    /// The size that is on the disk.
    disk_size: usize,
    /// The size that a program sees.
    size: usize,
    /// Pages that differ from the disk, or may.
    pages: BTreeMap<usize, Unsynced>,
}

/// A page since its last sync.
#[derive(Debug)]
struct Unsynced {
    /// What it was after each write, oldest first; never empty.
    versions: Vec<Vec<u8>>,
    /// Its sync failed: it counts as clean, so that no sync but one after another write takes it to the disk.
    is_clean: bool,
}

impl Contents {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_unsynced(&self) -> bool {
        !self.pages.is_empty()
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        let mut at = offset;
        while at < end {
            let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let part = (PAGE_BYTES - within).min(end - at);
            let mut version = self.page(page);
            version[within..within + part].copy_from_slice(&bytes[at - offset..at - offset + part]);
            let unsynced = self.pages.entry(page).or_insert_with(|| Unsynced {
                versions: Vec::new(),
                is_clean: false,
            });
            unsynced.versions.push(version);
            unsynced.is_clean = false;
            at += part;
        }
        self.size = self.size.max(end);
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: usize) -> usize {
        let end = (offset + bytes.len()).min(self.size).max(offset);
        let mut at = offset;
        while at < end {
            let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let part = (PAGE_BYTES - within).min(end - at);
            let version = self.page(page);
            bytes[at - offset..at - offset + part].copy_from_slice(&version[within..within + part]);
            at += part;
        }
        end - offset
    }

    pub(super) fn read_all(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Everything but the size is on the disk now.
    pub(super) fn sync_data(&mut self) {
        let dirty: Vec<usize> = (self.pages.iter())
            .filter(|(_, unsynced)| !unsynced.is_clean)
            .map(|(page, _)| *page)
            .collect();
        for page in dirty {
            self.settle(page);
        }
    }

    /// Everything is on the disk now.
    pub(super) fn sync_all(&mut self) {
        self.sync_data();
        self.disk_size = self.size;
    }

    /// A sync that fails: some pages got to the disk all the same; the others are lost without a sign.
    pub(super) fn fail_sync(&mut self, random: &mut SmallRng) {
        let dirty: Vec<usize> = self.pages.keys().copied().collect();
        for page in dirty {
            if random.random() {
                self.settle(page);
            } else if let Some(unsynced) = self.pages.get_mut(&page) {
                unsynced.is_clean = true;
            }
        }
    }

    /// The cache drops pages that it takes for clean.
    pub(super) fn forget_clean(&mut self) {
        self.pages.retain(|_, unsynced| !unsynced.is_clean);
    }

    /// The power is gone: what is read from now on is what the disk has.
    pub(super) fn cut(&mut self, random: &mut SmallRng) {
        let sector = SECTOR_BYTES[random.random_range(0..SECTOR_BYTES.len())];
        // How much of what was on its way arrived: nothing, everything, or anything.
        let share: u32 = [0, 4, random.random_range(0..=4)][random.random_range(0..3)];
        for (page, unsynced) in std::mem::take(&mut self.pages) {
            let mut left = self.on_disk(page);
            for start in (0..PAGE_BYTES).step_by(sector) {
                if random.random_range(0..4) < share {
                    let versions = &unsynced.versions;
                    let newest = versions.len() - 1;
                    // Mostly the newest: the others need a disk that wrote the sector in between.
                    let pick = if random.random_range(0..4) == 0 {
                        random.random_range(0..=newest)
                    } else {
                        newest
                    };
                    left[start..start + sector].copy_from_slice(&versions[pick][start..start + sector]);
                }
            }
            self.put(page, &left);
        }
        if random.random() {
            self.disk_size = self.size;
        }
        self.size = self.disk_size;
        self.disk.truncate(self.size);
    }

    /// A page as a program sees it.
    fn page(&self, page: usize) -> Vec<u8> {
        let newest = self
            .pages
            .get(&page)
            .and_then(|unsynced| unsynced.versions.last());
        newest.cloned().unwrap_or_else(|| self.on_disk(page))
    }

    fn on_disk(&self, page: usize) -> Vec<u8> {
        let start = (page * PAGE_BYTES).min(self.disk.len());
        let end = (start + PAGE_BYTES).min(self.disk.len());
        let mut bytes = self.disk[start..end].to_vec();
        bytes.resize(PAGE_BYTES, 0);
        bytes
    }

    fn settle(&mut self, page: usize) {
        if let Some(newest) = self
            .pages
            .remove(&page)
            .and_then(|mut unsynced| unsynced.versions.pop())
        {
            self.put(page, &newest);
        }
    }

    fn put(&mut self, page: usize, bytes: &[u8]) {
        let (start, end) = (page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
        if self.disk.len() < end {
            self.disk.resize(end, 0);
        }
        self.disk[start..end].copy_from_slice(bytes);
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
