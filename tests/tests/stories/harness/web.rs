//! A small web server on loopback: it writes down what it is sent, and answers as the story wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What was asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Asked {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|refused| panic!("{refused} in {self:?}"))
    }
}

/// The server. It lives as long as the process.
pub(crate) struct Web {
    address: String,
    status: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Answers everything with 200 until it is told otherwise.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Self {
            address: listener.local_addr().unwrap().to_string(),
            status: Arc::new(AtomicU16::new(200)),
            asked: Arc::default(),
        };
        let (status, asked) = (web.status.clone(), web.asked.clone());
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (status, asked) = (status.clone(), asked.clone());
                thread::spawn(move || serve(&connection.unwrap(), &status, &asked));
            }
        });
        web
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers with this status; 0 is not at all.
    pub(crate) fn answers_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What it was asked since it was last looked at, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The paths of the same.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }
}

fn serve(connection: &TcpStream, status: &AtomicU16, asked: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    asked.lock().unwrap().push(Asked { path: path.clone(), body: String::from_utf8(body).unwrap() });
    match status.load(Ordering::SeqCst) {
        0 => thread::sleep(Duration::from_secs(120)),
        // The path is quoted, as many a server does: it must not come out on the other side.
        status => {
            let said = format!("{path} it is");
            let head = format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", said.len());
            (&*connection).write_all(format!("{head}{said}").as_bytes()).unwrap();
        }
    }
}
