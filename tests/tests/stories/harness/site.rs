//! The small site that most stories are about: a database in WAL mode, uploads, a configuration.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::{fs, process};

use rusqlite::Connection;

use super::Random;

/// What the table is like.
const SCHEMA: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL)";

/// Makes the site in an existing folder.
pub(super) fn make(app: &Path) {
    let mut random = Random::new(2);
    for folder in ["uploads/2026/11", "uploads/empty", "public", "data"] {
        fs::create_dir_all(app.join(folder)).unwrap();
    }
    fs::write(app.join("public/index.html"), "<h1>Shop</h1>\n".repeat(200)).unwrap();
    fs::write(app.join("uploads/2026/11/photo.jpg"), random.bytes(40_000)).unwrap();
    fs::write(app.join("uploads/2026/11/notes.txt"), "one, two, three\n".repeat(3000)).unwrap();
    fs::write(app.join("uploads/2026/empty"), "").unwrap();
    symlink("2026/11/photo.jpg", app.join("uploads/latest.jpg")).unwrap();
    fs::write(app.join(".env"), "APP_KEY=a-very-secret-value\n").unwrap();
    fs::set_permissions(app.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
    database(&app.join("data/app.db"), 300);
}

/// A database as a running application leaves it: most of its rows are in the write-ahead log alone.
fn database(path: &Path, rows: u32) {
    let draft = path.with_extension("draft");
    let connection = Connection::open(&draft).unwrap();
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {SCHEMA};")).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); BEGIN").unwrap();
    for row in 0..rows {
        connection
            .execute("INSERT INTO orders (customer, cents) VALUES (?1, ?2)", (format!("customer {row}"), 100 * row))
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    // Copied while it is open: closing would fold the log into the database.
    for end in ["", "-wal", "-shm"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        fs::copy(name(&draft), name(path)).unwrap();
    }
    drop(connection);
    fs::remove_file(draft).unwrap();
}

/// Adds an order, as the application would.
pub(super) fn order(path: &Path, customer: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute("INSERT INTO orders (customer, cents) VALUES (?1, 1)", [customer]).unwrap();
}

/// All that a database holds, as text; the files beside it count as they would for the application.
pub(crate) fn rows(path: &Path) -> String {
    // A copy is opened, because opening a database may fold its log into it.
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let from = format!("{}{end}", path.display());
        if Path::new(&from).exists() {
            fs::copy(from, copy.path().join(format!("copy{end}"))).unwrap();
        }
    }
    let dumped = process::Command::new("sqlite3")
        .arg(copy.path().join("copy"))
        .arg("PRAGMA integrity_check; SELECT * FROM orders")
        .output();
    let output = dumped.expect("sqlite3 is needed (scripts/test installs it)");
    assert!(output.status.success(), "{} is no database: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
