//! Shakes hands with a server all the while, and counts what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::tls::{connect, trusting_anybody};

/// From one handshake to the next.
const STEP: Duration = Duration::from_millis(20);

/// The serial of the certificate that a port of loopback serves under that name, two small hexadecimal digits for each
/// byte, without the zero byte that only says it is positive; or why there is none.
pub(crate) fn served(name: &str, port: u16) -> Result<String, String> {
    shake_hands(trusting_anybody(), name, port)
}

/// Whoever shakes hands. Dropped, it stops.
pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Probed>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) handshakes: usize,
    /// What was said about each one that failed.
    pub(crate) failures: Vec<String>,
    /// The serials that were served, each time another one than before.
    pub(crate) serials: Vec<String>,
}

impl Prober {
    /// Begins with a port of loopback, under that name.
    pub(crate) fn start(name: &str, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (name, until) = (name.to_owned(), stop.clone());
        let thread = thread::spawn(move || probe(&name, port, &until));
        Self { stop, thread: Some(thread) }
    }

    /// Ends, and says what came of it.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Probed {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn probe(name: &str, port: u16, stop: &AtomicBool) -> Probed {
    let config = trusting_anybody();
    let mut probed = Probed::default();
    while !stop.load(Ordering::SeqCst) {
        let next = Instant::now() + STEP;
        probed.handshakes += 1;
        match shake_hands(config.clone(), name, port) {
            Err(said) => probed.failures.push(said),
            Ok(serial) if probed.serials.last() == Some(&serial) => {}
            Ok(serial) => probed.serials.push(serial),
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    probed
}

fn shake_hands(config: Arc<ClientConfig>, name: &str, port: u16) -> Result<String, String> {
    let mut stream = connect(config, name, port).map_err(|refused| refused.to_string())?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|refused| refused.to_string())?;
    }
    let leaf = stream.conn.peer_certificates().unwrap()[0].clone();
    stream.conn.send_close_notify();
    let _ = stream.conn.complete_io(&mut stream.sock);
    let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).map_err(|refused| refused.to_string())?;
    let digits = certificate.tbs_certificate.serial.to_str_radix(16);
    Ok(format!("{}{digits}", &"0"[..digits.len() % 2]))
}
