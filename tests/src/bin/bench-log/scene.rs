//! What all shapes of records share: the clock, the chance, and the place where they write.

use std::io::Write as _;

use crate::calendar::Clock;
use crate::seeded::Random;

/// How often a shape comes beside the others, and what writes one record of it and says how many lines that took.
pub(crate) type Shape = (u64, fn(&mut Scene) -> u64);

/// Where records are made.
pub(crate) struct Scene {
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    /// What is not yet written out.
    pub(crate) out: Vec<u8>,
}

const METHODS: [&str; 6] = ["GET", "GET", "GET", "GET", "POST", "PUT"];
const THINGS: [&str; 6] = ["vehicles", "drivers", "trips", "invoices", "geofences", "alerts"];
/// They sound like secrets and are none.
const DELICATE: [&str; 2] = ["tokens", "password/reset"];
const AGENTS: [&str; 4] = ["okhttp/4.12.0", "curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)", "-"];

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), clock: Clock::new(), out: Vec::new() }
    }

    /// A number from `low` up to, and without, `high`.
    pub(crate) fn number(&mut self, low: u64, high: u64) -> u64 {
        self.random.between(low, high)
    }

    /// A request as access logs quote it: `GET /api/v1/vehicles/812 HTTP/1.1`.
    pub(crate) fn request(&mut self) -> (&'static str, &'static str, u64) {
        let things: &[&str] = if self.number(0, 40) == 0 { &DELICATE } else { &THINGS };
        (self.random.pick(&METHODS), self.random.pick(things), self.random.between(1, 100_000))
    }

    /// A line of nginx's combined access log.
    pub(crate) fn combined(&mut self, method: &str, path: std::fmt::Arguments<'_>, status: u64) -> u64 {
        let (host, bytes) = (self.number(1, 255), self.number(120, 90_000));
        let agent = self.random.pick(&AGENTS);
        let Clock { common, time, .. } = &self.clock;
        let _ = writeln!(
            self.out,
            "10.4.2.{host} - - [{common}:{time} +0000] \"{method} {path} HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\""
        );
        1
    }

    /// The start of a Laravel record: `[2026-11-01 00:00:00] production.INFO: `. It ends with its context and a blank, or with
    /// two blanks where there is none (Monolog's `LineFormatter`): `%message% %context% %extra%`.
    pub(crate) fn laravel(&mut self, level: &str) {
        let Clock { date, time, .. } = &self.clock;
        let _ = write!(self.out, "[{date} {time}] production.{level}: ");
    }

    /// The start of a record of pino, up to its message.
    pub(crate) fn pino(&mut self, level: u64) {
        let request = self.number(0, 1 << 24);
        let millis = self.clock.millis;
        let _ = write!(
            self.out,
            "{{\"level\":{level},\"time\":{millis},\"pid\":17,\"hostname\":\"api-1\",\"req\":\"{request:06x}\","
        );
    }

    /// The start of a record of logfmt.
    pub(crate) fn logfmt(&mut self, level: &str) {
        let part = self.clock.part();
        let Clock { date, time, .. } = &self.clock;
        let _ = write!(self.out, "time={date}T{time}.{part:03}Z level={level} ");
    }

    /// The frames of a PHP stack trace inside a Laravel record, its last line, and how many lines that is.
    pub(crate) fn laravel_trace(&mut self) -> u64 {
        let depth = self.number(4, 18);
        let _ = self.out.write_all(b"[stacktrace]\n");
        for nth in 0..depth {
            let (line, frame) = (self.number(20, 900), self.random.pick(&FRAMES));
            let _ = writeln!(
                self.out,
                "#{nth} /var/www/html/{frame}({line}): handle(Object(Illuminate\\\\Http\\\\Request))"
            );
        }
        let _ = writeln!(self.out, "#{depth} {{main}}\n\"}} ");
        depth + 3
    }
}

const FRAMES: [&str; 6] = [
    "vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php",
    "vendor/laravel/framework/src/Illuminate/Routing/Router.php",
    "vendor/laravel/framework/src/Illuminate/Database/Connection.php",
    "app/Http/Controllers/TripController.php",
    "app/Services/ErrorReporter.php",
    "public/index.php",
];

/// One of the shapes, each as often as its weight says.
pub(crate) fn one_of(shapes: &[Shape], random: &mut Random) -> fn(&mut Scene) -> u64 {
    let whole = shapes.iter().map(|(weight, _)| weight).sum();
    let mut nth = random.between(0, whole);
    for (weight, shape) in shapes {
        if nth < *weight {
            return *shape;
        }
        nth -= weight;
    }
    |_| 0
}
