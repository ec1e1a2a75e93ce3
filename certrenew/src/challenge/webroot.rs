//! http-01 through the web server that runs: a file below its folder.
//!
//! The webroot itself is the owner's word, links and all. Below it nothing is followed: a web application that may write
//! to its own folder could otherwise put a link there, and have root write wherever it leads. So each step down is taken
//! from the folder before it, held open (`openat` with `O_NOFOLLOW`), and never by a path that may change in between.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use shipshape_core::machine;

use super::{ChallengeError, Proof, Shown, TRIAL};

/// Where authorities ask (RFC 8555, 8.3), from the webroot down.
const STEPS: [&str; 2] = [".well-known", "acme-challenge"];

/// How the names of unfinished files begin. No token begins with a dot, and most web servers hide what does.
const TEMPORARY: &str = ".certrenew-";

/// The longest token that is taken, in bytes. Real ones have 43; a file's name may have 255.
const LONGEST_TOKEN: usize = 200;

/// The shortest token that RFC 8555, 8.3 allows: 128 bits in base64url. What is shorter was not made by an authority.
const SHORTEST_TOKEN: usize = 22;

/// How old a file has to be to be left over, in seconds. No run waits as long for an authority, and another one under the
/// same account (for another application) may be at work.
const LEFT_OVER: i64 = 3600;

/// How many names are looked at in search of what is left over: a folder for tokens is empty, or somebody else's.
const LOOKED_AT: usize = 4096;

/// The largest file that could be ours, in bytes: a token, a dot, and a thumbprint of 43 letters.
const LARGEST: u64 = 300;

/// Files that can be asked for.
struct Files {
    place: Place,
    tokens: Vec<String>,
}

/// Puts a file for each proof where the web server finds it.
pub(super) fn show(webroot: &Path, proofs: &[Proof], now: DateTime<Utc>) -> Result<Box<dyn Shown>, ChallengeError> {
    let place = Place::open(webroot)?;
    if let Some(thumbprint) = proofs.first().and_then(|proof| proof.key_authorization.rsplit_once('.')) {
        place.sweep(thumbprint.1, now);
    }
    // Should one fail, those before it are taken away by the drop.
    let mut files = Files { place, tokens: Vec::new() };
    for proof in proofs {
        files.place.put(&proof.token, proof.key_authorization.as_bytes())?;
        files.tokens.push(proof.token.clone());
    }
    Ok(Box::new(files))
}

/// Whether it could be done; leaves nothing behind.
pub(super) fn try_showing(webroot: &Path) -> Result<(), ChallengeError> {
    let place = Place::open(webroot)?;
    let probe = format!("{TRIAL}{:016x}", machine::random());
    place.put(&probe, b"a trial")?;
    place.remove(&probe)
}

impl Files {
    /// Removes all; the first that cannot be is told.
    fn clear(&mut self) -> Result<(), ChallengeError> {
        let removed: Vec<_> = self.tokens.drain(..).map(|token| self.place.remove(&token)).collect();
        removed.into_iter().collect()
    }
}

impl Shown for Files {
    fn end(mut self: Box<Self>) -> Result<(), ChallengeError> {
        self.clear()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

/// The folder for tokens, and the way to it, held open. Folders that were made go with it, where nothing else is in them.
struct Place {
    webroot: PathBuf,
    root: OwnedFd,
    steps: Vec<Step>,
}

/// One folder of the way.
struct Step {
    folder: OwnedFd,
    is_ours: bool,
}

impl Place {
    fn open(webroot: &Path) -> Result<Self, ChallengeError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(webroot, flags, Mode::empty());
        let root =
            root.map_err(|refused| ChallengeError::NoWebroot { path: webroot.to_owned(), source: refused.into() })?;
        let mut place = Self { webroot: webroot.to_owned(), root, steps: Vec::new() };
        for name in STEPS {
            let step = place.enter(name)?;
            place.steps.push(step);
        }
        Ok(place)
    }

    /// The innermost folder so far.
    fn folder(&self) -> &OwnedFd {
        self.steps.last().map_or(&self.root, |step| &step.folder)
    }

    /// What it is called, with a name in it.
    fn path(&self, name: &str) -> PathBuf {
        STEPS[..self.steps.len()].iter().fold(self.webroot.clone(), |path, step| path.join(step)).join(name)
    }

    /// Goes one step down, and makes the folder where it is missing.
    fn enter(&self, name: &str) -> Result<Step, ChallengeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(self.folder(), name, flags, Mode::empty());
        let failed = |refused: Errno| self.failed("create the folder", name, refused.into());
        match open() {
            Ok(folder) => return Ok(Step { folder, is_ours: false }),
            Err(Errno::NOENT) => {}
            // A link comes as ENOTDIR where O_DIRECTORY is asked for as well (openat(2)).
            Err(Errno::NOTDIR | Errno::LOOP) if self.is_link(name) => {
                return Err(ChallengeError::Link { path: self.path(name) });
            }
            Err(refused) => return Err(failed(refused)),
        }
        // The web server runs as somebody else: whatever our umask is, it has to come in.
        let mode = Mode::from_raw_mode(0o755);
        let is_ours = match rustix::fs::mkdirat(self.folder(), name, mode) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(refused) => return Err(failed(refused)),
        };
        let folder = open().map_err(failed)?;
        if is_ours {
            rustix::fs::fchmod(&folder, mode).map_err(failed)?;
        }
        Ok(Step { folder, is_ours })
    }

    fn is_link(&self, name: &str) -> bool {
        let facts = rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW);
        facts.is_ok_and(|facts| FileType::from_raw_mode(facts.st_mode) == FileType::Symlink)
    }

    /// Puts a file under this token, whole: the web server may be asked for it at any moment. It is not synced: nobody
    /// asks for it after a crash of the machine.
    fn put(&self, token: &str, content: &[u8]) -> Result<(), ChallengeError> {
        if !is_token(token) {
            return Err(ChallengeError::Token { token: token.chars().take(LONGEST_TOKEN).collect() });
        }
        let temporary = format!("{TEMPORARY}{:016x}", machine::random());
        let written = self.write(&temporary, content).and_then(|()| {
            // A rename takes the place of whatever has the name, and follows no link (rename(2)).
            Ok(rustix::fs::renameat(self.folder(), &temporary, self.folder(), token)?)
        });
        written.map_err(|source| {
            let _ = rustix::fs::unlinkat(self.folder(), &temporary, AtFlags::empty());
            self.failed("write", token, source)
        })
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What it holds is shown to the whole world; the umask must not keep the web server from it.
        let mode = Mode::from_raw_mode(0o644);
        let file = rustix::fs::openat(self.folder(), name, flags, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        File::from(file).write_all(content)
    }

    /// Removes it; that it is gone already is as good.
    fn remove(&self, token: &str) -> Result<(), ChallengeError> {
        match rustix::fs::unlinkat(self.folder(), token, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(refused) => Err(self.failed("remove", token, refused.into())),
        }
    }

    fn failed(&self, action: &'static str, name: &str, source: io::Error) -> ChallengeError {
        ChallengeError::Webroot { action, path: self.path(name), source }
    }

    /// Removes what a run that was killed has left. What cannot be removed is harmless, and stays.
    fn sweep(&self, thumbprint: &str, now: DateTime<Utc>) {
        let Ok(names) = rustix::fs::Dir::read_from(self.folder()) else { return };
        for entry in names.take(LOOKED_AT).flatten() {
            if let Ok(name) = entry.file_name().to_str()
                && self.is_left_over(name, thumbprint, now)
            {
                let _ = self.remove(name);
            }
        }
    }

    /// Whether it is a file that an earlier run of ours has written: old, ours, and a trial or unfinished by its name, or of
    /// the content that only somebody with our account's key has. Tokens of other clients have another thumbprint, and so
    /// have those of an account that we had before: better one file too many than somebody else's gone.
    fn is_left_over(&self, name: &str, thumbprint: &str, now: DateTime<Utc>) -> bool {
        let is_named = name.starts_with(TEMPORARY) || name.starts_with(TRIAL);
        let is_like_one = name.len() >= SHORTEST_TOKEN && is_token(name);
        if !is_named && !is_like_one {
            return false;
        }
        let Ok(facts) = rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW) else { return false };
        let is_file = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
        let is_ours = facts.st_uid == rustix::process::geteuid().as_raw();
        let is_old = now.timestamp().saturating_sub(facts.st_mtime) > LEFT_OVER;
        is_file && is_ours && is_old && (is_named || self.holds(name, &format!("{name}.{thumbprint}")))
    }

    fn holds(&self, name: &str, expected: &str) -> bool {
        // What looked like a file a moment ago may be a pipe by now, and must not hold us (open(2), O_NONBLOCK).
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(self.folder(), name, flags, Mode::empty()) else { return false };
        let mut found = Vec::new();
        File::from(file).take(LARGEST).read_to_end(&mut found).is_ok() && found == expected.as_bytes()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            if step.is_ours {
                // Fails where something else has come to be in it, and so it should (unlinkat(2), ENOTEMPTY).
                let _ = rustix::fs::unlinkat(self.folder(), STEPS[self.steps.len()], AtFlags::REMOVEDIR);
            }
        }
    }
}

/// Whether it is of base64url's letters alone: what else it might be could be a path.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= LONGEST_TOKEN && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
