//! Logs that are being packed, are links or no files, have holes, or change while they are read.

use super::*;

#[test]
fn between_the_rename_and_the_new_file_one_run_without_it_is_well() {
    let mut log = read_log();
    log.append("", "three\nfo");
    log.rename("", ".1");
    assert_eq!(log.run().text(), "three\n");
    let again = log.look().map(|(seen, _)| seen.text()).unwrap_err();
    assert_eq!(shipshape_core::error::Explain::code(&again), "file.missing");
    log.append(".1", "ur\n");
    log.append("", "five\n");
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("four\nfive\n", 0));
}

#[test]
fn what_is_being_packed_is_waited_for_and_nothing_of_it_is_lost_or_doubled() {
    let mut log = read_log();
    log.append("", "three\n");
    let packed = gz(&fs::read(&log.path).unwrap());
    fs::remove_file(&log.path).unwrap();
    log.append("", "four\n");
    for cut in [0, 5, packed.len() / 2, packed.len() - 1] {
        fs::write(log.name(".1.gz"), &packed[..cut]).unwrap();
        let seen = log.run();
        assert_eq!((seen.text().as_str(), seen.gaps.len()), ("", 0), "with {cut} bytes");
    }
    fs::write(log.name(".1.gz"), &packed).unwrap();
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("three\nfour\n", 0));
}

#[test]
fn a_packed_generation_that_stays_cut_short_is_a_gap_and_holds_nobody_up() {
    let mut log = read_log();
    log.append("", &"a line that is lost in part\n".repeat(10_000));
    let packed = gz(&fs::read(&log.path).unwrap());
    fs::remove_file(&log.path).unwrap();
    fs::write(log.name(".1.gz"), &packed[..packed.len() - 4]).unwrap();
    log.append("", "four\n");
    log.start.now += chrono::TimeDelta::hours(1);
    let seen = log.run();
    assert!(seen.text().ends_with("four\n") && seen.text().starts_with("a line that"));
    assert!(seen.why()[0].ends_with("app.log.1.gz is cut short"), "{:?}", seen.why());
    assert_eq!(log.run().why(), Vec::<&str>::new());
}

#[test]
fn a_packed_file_that_is_named_itself_is_read_once() {
    let mut log = Log::new();
    log.path = log.name(".1.gz");
    fs::write(&log.path, gz(b"one\ntwo")).unwrap();
    assert_eq!(log.run().text(), "one\ntwo");
    assert_eq!(log.run().text(), "");
    fs::write(&log.path, [gz(b"one\ntwo"), gz(b"\nthree\n")].concat()).unwrap();
    assert_eq!(log.run().text(), "\nthree\n");
    fs::write(&log.path, gz(b"another\n")).unwrap();
    assert_eq!(log.run().text(), "another\n");
}

#[test]
fn of_a_packed_file_that_is_cut_short_what_is_there_is_read_once_and_it_is_told_as_long_as_it_is_so() {
    let text: Vec<u8> = (0..5000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
    let whole = gz(&text);
    for cut in [0, 5, whole.len() / 2, whole.len() - 4] {
        let mut log = Log::new();
        log.path = log.name(".1.gz");
        fs::write(&log.path, &whole[..cut]).unwrap();
        let seen = log.run();
        let read = seen.bytes.len();
        assert!(text.starts_with(&seen.bytes) && (read > 0) == (cut > 5), "{read} bytes of {cut}");
        assert!(matches!(seen.failure, Some(SourceError::File(FileError::CutShort { .. }))), "with {cut} bytes");
        let again = log.run();
        assert_eq!(again.text(), "", "what was read is not read again");
        assert!(matches!(again.failure, Some(SourceError::File(FileError::CutShort { .. }))), "with {cut} bytes");
        // Once it is whole, it goes on with the line that was there only in part.
        fs::write(&log.path, &whole).unwrap();
        let rest = log.run();
        let whole_lines = text[..read].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
        assert!(rest.bytes == text[whole_lines..] && rest.failure.is_none(), "with {cut} bytes");
    }
}

#[test]
fn of_a_packed_file_that_is_damaged_what_comes_before_is_read() {
    let mut log = Log::new();
    log.path = log.name(".1.gz");
    let text: Vec<u8> = (0..200_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
    let whole = gz(&text);
    let half = whole.len() / 2;
    fs::write(&log.path, [&whole[..half], &[0xff; 40], &whole[half..]].concat()).unwrap();
    let seen = log.run();
    assert!(seen.bytes.len() > text.len() / 4 && text.starts_with(&seen.bytes), "{} bytes", seen.bytes.len());
    assert!(matches!(seen.failure, Some(SourceError::File(FileError::Broken { .. }))), "{:?}", seen.failure);
    assert_eq!(log.run().text(), "");
}

#[test]
fn a_link_is_followed_and_rotation_is_looked_for_beside_its_target() {
    let mut log = Log::new();
    let target = log.dir.path().join("real");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("x.log"), "one\n").unwrap();
    std::os::unix::fs::symlink("real/x.log", &log.path).unwrap();
    assert_eq!(log.run().text(), "one\n");
    fs::rename(target.join("x.log"), target.join("x.log.1")).unwrap();
    assert_eq!(log.run().text(), "", "the link leads nowhere for a moment");
    fs::write(target.join("x.log"), "two\n").unwrap();
    assert_eq!(log.run().text(), "two\n");
}

#[test]
fn what_is_no_file_is_told_apart_from_a_log_without_lines() {
    use shipshape_core::error::Explain;
    let log = Log::new();
    let told = |path: &Path| {
        let error = read(&mut LogFile::new(path), None, &log.start).map(|(seen, _)| seen.text()).unwrap_err();
        (error.code(), error.to_string(), error.hint())
    };
    let pipe = log.name(".pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let socket = log.name(".socket");
    let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, what) in
        [(log.dir.path(), "folder"), (&pipe, "named pipe"), (&socket, "socket"), (Path::new("/dev/null"), "device")]
    {
        let (code, message, hint) = told(path);
        assert_eq!(
            (code, message.ends_with(&format!("is a {what}, not a file"))),
            ("file.not_a_file", true),
            "{message}"
        );
        assert!(!hint.is_empty());
    }
    let (code, message, hint) = told(&log.path);
    assert_eq!(code, "file.missing");
    assert!(message.contains("app.log") && hint.contains("ls -l"), "{message}: {hint}");
}

#[test]
fn a_file_that_vanishes_without_a_trace_is_missing_at_once() {
    let log = read_log();
    log.remove("");
    assert!(matches!(log.look(), Err(SourceError::File(FileError::Missing { .. }))));
}

#[test]
fn holes_are_in_no_line() {
    let mut log = read_log();
    log.copy_and_truncate(".1");
    // A writer without O_APPEND goes on where it was, a terabyte in.
    File::options().write(true).open(&log.path).unwrap().write_all_at(b"three\n", 1 << 40).unwrap();
    let seen = log.run();
    assert_eq!(seen.text().trim_start_matches('\0'), "three\n");
    assert!(seen.bytes.len() < 5000 && seen.gaps.is_empty(), "{} bytes", seen.bytes.len());
    log.append("", "four\n");
    assert_eq!(log.run().text(), "four\n");
}

#[test]
fn lines_written_into_room_that_was_set_aside_are_read() {
    let mut log = Log::with("one\n");
    let file = File::options().write(true).open(&log.path).unwrap();
    file.set_len(100_000).unwrap();
    assert_eq!(log.run().text(), "one\n");
    file.write_all_at(b"two\n", 4).unwrap();
    let seen = log.run();
    assert_eq!((seen.text().as_str(), seen.gaps.len()), ("two\n", 0));
}

/// A source in the middle of a run: what was opened, and of it so many bytes read.
fn half_read(log: &Log, bytes: usize) -> (LogFile, u64) {
    let mut source = LogFile::new(&log.path);
    let mut opened = source.open(log.cursor.as_ref(), &log.start).unwrap();
    let mut read = vec![0; bytes];
    opened.parts.pop().unwrap().stream.read_exact(&mut read).unwrap();
    (source, bytes as u64)
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_is_finished_in_its_copy() {
    for regrown in [0, 10, 10_000] {
        let lines = "a line of the old file\n".repeat(100);
        let mut log = Log::with(&lines);
        let (mut source, taken) = half_read(&log, 23 * 50);
        log.copy_and_truncate(".1");
        log.append("", &"NEW\n".repeat(regrown));
        log.cursor = Some(source.close(taken, Marks::new()).unwrap());
        let seen = log.run();
        assert_eq!(seen.text(), format!("{}{}", &lines[23 * 50..], "NEW\n".repeat(regrown)));
        assert!(seen.gaps.is_empty());
    }
}

#[test]
fn a_file_that_is_truncated_while_it_is_read_without_a_copy_is_a_gap() {
    let mut log = Log::with(&"a line of the old file\n".repeat(100));
    let (mut source, taken) = half_read(&log, 23 * 50);
    fs::write(&log.path, "NEW\n".repeat(1000)).unwrap();
    log.cursor = Some(source.close(taken, Marks::new()).unwrap());
    let seen = log.run();
    assert_eq!((seen.text(), seen.why()), ("NEW\n".repeat(1000), vec!["truncated while it was read"]));
    assert!(log.run().gaps.is_empty());
}

#[test]
fn a_file_that_is_moved_away_while_it_is_read_is_left_where_it_was_read() {
    let mut log = Log::with(&"line\n".repeat(100));
    let (mut source, taken) = half_read(&log, 250);
    log.rename("", ".1");
    log.append("", "new\n");
    log.cursor = Some(source.close(taken, Marks::new()).unwrap());
    assert_eq!(log.run().text(), format!("{}new\n", "line\n".repeat(50)));
}
