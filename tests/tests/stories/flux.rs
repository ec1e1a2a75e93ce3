//! Files that change while they are read: what is stored is consistent, what was missed is told, and the next run has it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Host, Random, shell};

/// Long enough to change a file, and then some.
const PAUSE: Duration = Duration::from_millis(150);

/// A file that is read whole before it is stored, and one that is streamed.
const SIZES: [u64; 2] = [700_000, 3_000_000];

/// Reads of a file: by whatever looks for databases, and by what stores it.
const READS: &str = "read,pread64";

/// Opening it, with or without a word on links.
const OPENS: &str = "openat,?openat2";

/// Runs a backup that stands still before the N-th such call on a busy file while `change` happens, for the first few N
/// and for either size. Each snapshot must be whole, and the next one must hold what the file has become.
///
/// Returns the worst exit status: whatever came before the moment of reading was simply the file.
fn changed_at(call: &str, change: impl Fn(&Path, u64)) -> i32 {
    let mut worst = 0;
    for (size, nth) in SIZES.iter().flat_map(|size| (1..=4).map(move |nth| (*size, nth))) {
        let host = Host::with_a_small_site();
        let file = host.app("uploads/busy.bin");
        fs::write(&file, Random::new(6).bytes(size)).unwrap();
        let running = host.launch("backup").stalled(call, nth, Some(&file), PAUSE);
        change(&file, size);
        worst = worst.max(running.wait().gets_done().number());
        settles(&host);
    }
    worst
}

/// Demands that all is whole, and that the next run has what the files have become.
fn settles(host: &Host) {
    host.listed_and_whole();
    // 0, or 1 where it has become so much smaller that somebody should look.
    let next = host.run("backup", &[]).gets_done().snapshot();
    host.tree().equals(&host.restored(&next).tree());
    host.listed_and_whole();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_stored_consistently_and_told() {
    let worst = changed_at(READS, |file, _| {
        OpenOptions::new().append(true).open(file).unwrap().write_all(&vec![7; 300_000]).unwrap();
    });
    assert_eq!(worst, 1);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_stored_consistently_and_told() {
    let worst = changed_at(READS, |file, _| OpenOptions::new().write(true).open(file).unwrap().set_len(1000).unwrap());
    assert_eq!(worst, 1);
}

#[test]
fn a_file_that_is_rewritten_while_it_is_read_is_told() {
    let worst = changed_at(READS, |file, size| {
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.write_all_at(&Random::new(7).bytes(size), 0).unwrap();
    });
    assert_eq!(worst, 1);
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_stored_as_one_of_the_two() {
    changed_at(READS, |file, size| {
        let new = file.with_extension("new");
        fs::write(&new, Random::new(8).bytes(size - 1)).unwrap();
        fs::rename(new, file).unwrap();
    });
}

#[test]
fn a_file_that_vanishes_before_it_is_opened_is_told_and_nothing_else_is_missed() {
    let worst = changed_at(OPENS, |file, _| drop(fs::remove_file(file)));
    assert_eq!(worst, 1);
}

#[test]
fn a_file_that_vanishes_while_it_is_read_is_no_obstacle() {
    changed_at(READS, |file, _| fs::remove_file(file).unwrap());
}

#[test]
fn a_file_that_becomes_a_pipe_before_it_is_opened_does_not_hang_the_run() {
    changed_at(OPENS, |file, _| {
        fs::remove_file(file).unwrap();
        shell(&format!("mkfifo '{}'", file.display()));
    });
}

#[test]
fn a_file_that_becomes_a_link_before_it_is_opened_is_not_followed() {
    for nth in 1..=4 {
        let host = Host::with_a_small_site();
        let file = host.app("uploads/busy.bin");
        fs::write(&file, Random::new(6).bytes(SIZES[0])).unwrap();
        let running = host.launch("backup").stalled(OPENS, nth, Some(&file), PAUSE);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        let snapshot = running.wait().gets_done().snapshot();
        let stored = fs::symlink_metadata(host.restored(&snapshot).path.join("uploads/busy.bin"));
        let passwords = fs::metadata("/etc/passwd").unwrap().len();
        let harmless = stored.map_or(true, |facts| facts.is_symlink() || facts.len() != passwords);
        assert!(harmless, "what a link points to is none of our business");
    }
}

#[test]
fn a_further_name_of_a_file_whose_first_name_vanishes_is_no_loose_end() {
    for nth in 1..=3 {
        let host = Host::with_a_small_site();
        let (first, further) = (host.app("uploads/a-first"), host.app("uploads/b-further"));
        fs::write(&first, Random::new(6).bytes(SIZES[0])).unwrap();
        fs::hard_link(&first, &further).unwrap();
        let running = host.launch("backup").stalled(OPENS, nth, Some(&first), PAUSE);
        fs::remove_file(&first).unwrap();
        let snapshot = running.wait().gets_done().snapshot();
        host.restored(&snapshot);
        settles(&host);
    }
}

#[test]
fn a_busy_application_never_spoils_a_snapshot() {
    let host = Host::with_a_small_site();
    let mut random = Random::new(9);
    meanwhile(
        |_| misbehave(&host, &mut random),
        || {
            for _ in 0..8 {
                host.run("backup", &[]).gets_done();
            }
        },
    );
    settles(&host);
}

/// Does the one thing over and over while the other one is done.
fn meanwhile(mut always: impl FnMut(u32) + Send, once: impl FnOnce()) {
    /// Ends the loop, also when `once` panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stopped);
        scope.spawn(|| (0..u32::MAX).take_while(|_| !stopped.load(Ordering::Relaxed)).for_each(&mut always));
        once();
    });
}

/// One change of the kind that applications make.
fn misbehave(host: &Host, random: &mut Random) {
    let path = host.app(&format!("uploads/busy-{}", random.between(0, 20)));
    let length = random.between(0, 200_000);
    let open = || OpenOptions::new().append(true).create(true).open(&path);
    let _ = match random.between(0, 5) {
        0 => open().and_then(|mut file| file.write_all(&random.bytes(length))),
        1 => open().and_then(|file| file.set_len(length)),
        2 => fs::write(&path, random.bytes(length)),
        3 => fs::remove_file(&path),
        _ => fs::rename(&path, host.app(&format!("uploads/busy-{}", random.between(0, 20)))),
    };
    thread::sleep(Duration::from_micros(200));
}

#[test]
fn rows_that_are_written_during_the_backup_do_not_tear_the_database() {
    let host = Host::with_a_small_site();
    meanwhile(
        |order| host.order(&format!("during {order}")),
        || {
            for _ in 0..5 {
                let snapshot = host.run("backup", &[]).gets_done().snapshot();
                let rows = host.restored(&snapshot).rows();
                assert!(rows.starts_with("ok\n1|customer 0|"), "the copy is sound: {}", rows.lines().next().unwrap());
                assert!(rows.lines().count() > 300, "and has all that was there before");
            }
        },
    );
}
