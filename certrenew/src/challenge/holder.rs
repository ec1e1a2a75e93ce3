//! Who listens at a port, as far as the kernel tells us: a help for the reader, never a reason to fail.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The sockets of both families (`proc_net(5)`).
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// How much of a table is read, in bytes: some 50,000 sockets.
const LARGEST: u64 = 8 << 20;

/// The state of a socket that listens (`TCP_LISTEN` of the kernel, `include/net/tcp_states.h`), in hexadecimal digits.
const LISTENING: &str = "0A";

/// A program and its process, such as `nginx (process 812)`; none where it cannot be known: it may be in a container whose
/// processes are hidden, or somebody else's while we are not root.
pub(super) fn of(port: u16) -> Option<String> {
    let inodes: Vec<String> = TABLES.iter().flat_map(|table| listening(&text(Path::new(table)), port)).collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    // Others in /proc are names for one of them: `self`, `thread-self`.
    let is_process = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let found = processes.filter(is_process).find(|process| holds(&process.path(), &sockets))?;
    let (name, number) = (text(&found.path().join("comm")), found.file_name());
    Some(format!("{} (process {})", shown(&name), number.to_string_lossy()))
}

/// The inodes of the sockets that listen at the port. Columns: number, local address, remote address, state, and the inode
/// as the tenth.
pub(super) fn listening(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let inode = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1)?.ends_with(&port) && *words.get(3)? == LISTENING;
        is_it.then(|| words.get(9).map(|&inode| inode.to_owned()))?
    };
    table.lines().filter_map(inode).collect()
}

/// Whether a process has one of these sockets open.
fn holds(process: &Path, sockets: &[String]) -> bool {
    let Ok(handles) = fs::read_dir(process.join("fd")) else { return false };
    let leads_there = |handle: fs::DirEntry| {
        fs::read_link(handle.path()).is_ok_and(|target| sockets.iter().any(|socket| target == Path::new(socket)))
    };
    handles.flatten().any(leads_there)
}

fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    // What was read until an error is as good as nothing: a help, not more.
    let _ = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A process gives itself its name (prctl(2), `PR_SET_NAME`), and may put anything into it.
pub(super) fn shown(name: &str) -> String {
    name.trim().chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000
   1: 0100007F:0050 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000
   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000000000000000
   3: short";

    #[test]
    fn only_sockets_that_listen_at_the_port_count() {
        assert_eq!(listening(TABLE, 80), ["4711"]);
        assert_eq!(listening(TABLE, 8080), ["4713"]);
        assert!(listening(TABLE, 443).is_empty());
    }

    #[test]
    fn nobody_is_named_where_nobody_listens() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(of(free), None);
    }

    #[test]
    fn a_name_full_of_control_letters_is_shown_without_them() {
        assert_eq!(shown("ng\u{1b}[31minx\n"), "ng[31minx");
    }
}
