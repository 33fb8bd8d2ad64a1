// SPDX-License-Identifier: Apache-2.0
//! The system calls that evidence stands on, behind an interface that tests can make fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{fallocate, FallocateFlags};
use rustix::io::Errno;

use super::fault::JournalFault;

/// Zeros written at a time where the file system cannot preallocate.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Duties: each call is one attempt, reports every error, and never claims more than it did.
pub(crate) trait Disk: Send + Sync {
    /// One `pwrite` of all bytes; a short one is an error.
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
    /// `fdatasync`: everything written to the file, and its size, is on disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// The first `bytes` of the file have room on disk; new ones read as zero.
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()>;
    /// Moves a file within its folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, file: &File, bytes: u64) -> io::Result<()>;
}

/// The real thing.
pub(crate) struct System;

impl Disk for System {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let written = file.write_at(bytes, at)?;
        if written == bytes.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::WriteZero, "the disk took only a part"))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill_with_zeros(file, bytes),
            Err(errno) => Err(errno.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn truncate(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }
}

fn fill_with_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    while at < bytes {
        let piece = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(ZEROS.get(..piece).unwrap_or(&ZEROS), at)?;
        at += u64::try_from(piece).unwrap_or(u64::MAX);
    }
    Ok(())
}

/// A system call of [`Disk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write,
    Sync,
    Allocate,
    Rename,
    Truncate,
}

/// How a chosen call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Nothing happens, and an error is reported.
    Fails,
    /// It happens, and an error is reported.
    Persists,
    /// Half of it happens, and an error is reported.
    Short,
}

/// Which system call fails, for tests: `<step>:<n>:<how>`, the `n`-th call (from 1) of `write`,
/// `sync`, `allocate`, `rename` or `truncate` since the journal was opened; it `fails`, fails yet
/// `persists`, or is `short`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    step: Step,
    number: u64,
    how: How,
}

impl FaultPlan {
    /// Parses the form above.
    pub fn parse(text: &str) -> Result<Self, JournalFault> {
        let bad = || JournalFault::refused("a fault plan is `<step>:<n>:<fails|persists|short>`");
        let mut parts = text.split(':');
        let step = match parts.next() {
            Some("write") => Step::Write,
            Some("sync") => Step::Sync,
            Some("allocate") => Step::Allocate,
            Some("rename") => Step::Rename,
            Some("truncate") => Step::Truncate,
            _ => return Err(bad()),
        };
        let number =
            parts.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or_else(bad)?;
        let how = match parts.next() {
            Some("fails") => How::Fails,
            Some("persists") => How::Persists,
            Some("short") => How::Short,
            _ => return Err(bad()),
        };
        parts.next().is_none().then_some(Self { step, number, how }).ok_or_else(bad)
    }
}

/// The real thing, but for one call.
pub(crate) struct Faulty {
    plan: FaultPlan,
    calls: AtomicU64,
}

impl Faulty {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { plan, calls: AtomicU64::new(0) }
    }

    /// How this call of `step` has to fail; `None` lets it be.
    fn strikes(&self, step: Step) -> Option<How> {
        let counts = step == self.plan.step;
        let is_it = counts && self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.plan.number;
        is_it.then_some(self.plan.how)
    }
}

fn injected() -> io::Error {
    io::Error::other("injected fault")
}

impl Disk for Faulty {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let persisted = match self.strikes(Step::Write) {
            None => return System.write(file, bytes, at),
            Some(How::Fails) => 0,
            Some(How::Short) => bytes.len() / 2,
            Some(How::Persists) => bytes.len(),
        };
        System.write(file, bytes.get(..persisted).unwrap_or_default(), at)?;
        Err(injected())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let how = self.strikes(Step::Sync);
        if how != Some(How::Fails) {
            System.sync(file)?;
        }
        how.map_or(Ok(()), |_| Err(injected()))
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        match self.strikes(Step::Allocate) {
            None => return System.allocate(file, bytes),
            Some(How::Fails) => {}
            Some(How::Short) => System.allocate(file, bytes / 2)?,
            Some(How::Persists) => System.allocate(file, bytes)?,
        }
        Err(Errno::NOSPC.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let how = self.strikes(Step::Rename);
        if !matches!(how, Some(How::Fails | How::Short)) {
            System.rename(from, to)?;
        }
        how.map_or(Ok(()), |_| Err(injected()))
    }

    fn truncate(&self, file: &File, bytes: u64) -> io::Result<()> {
        let how = self.strikes(Step::Truncate);
        if !matches!(how, Some(How::Fails | How::Short)) {
            System.truncate(file, bytes)?;
        }
        how.map_or(Ok(()), |_| Err(injected()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    #[test]
    fn a_fault_plan_names_step_call_and_kind() {
        let plan = FaultPlan::parse("write:3:short").unwrap();
        assert_eq!(plan, FaultPlan { step: Step::Write, number: 3, how: How::Short });
        for bad in ["", "write", "write:0:fails", "write:1:never", "read:1:fails", "write:1:fails:"]
        {
            assert!(FaultPlan::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_chosen_call_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("f")).unwrap();
        let disk = Faulty::new(FaultPlan::parse("write:2:short").unwrap());
        assert!(disk.write(&file, b"abcd", 0).is_ok());
        assert!(disk.write(&file, b"efgh", 4).is_err());
        assert!(disk.sync(&file).is_ok());
        assert!(disk.write(&file, b"ij", 6).is_ok());
        assert_eq!(std::fs::read(folder.path().join("f")).unwrap(), b"abcdefij");
    }
}
