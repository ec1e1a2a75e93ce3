//! Records that are errors: by level, by status, or by their words where they state neither.

use std::io::Write as _;

use crate::scene::{Scene, Shape};

/// All of them.
pub(crate) const SHAPES: [Shape; 13] = [
    (20, page),
    (20, laravel),
    (12, laravel_with_a_trace),
    (4, laravel_critical),
    (14, pino),
    (2, pino_fatal),
    (12, logfmt),
    (8, uvicorn),
    (4, uvicorn_with_a_trace),
    (6, nginx),
    (3, postgres),
    (2, plain),
    (2, plain_dated),
];

const FAULTS: [&str; 6] = [
    "connection refused by fuel.example.test",
    "lock wait timeout exceeded; try restarting transaction",
    "could not parse position report",
    "disk quota exceeded for tenant",
    "invoice has no lines",
    "unexpected answer from geocoder",
];

fn page(scene: &mut Scene) -> u64 {
    let (method, thing, id) = scene.request();
    let status = scene.number(500, 505);
    scene.combined(method, format_args!("/api/v1/{thing}/{id}"), status)
}

fn laravel(scene: &mut Scene) -> u64 {
    scene.laravel("ERROR");
    let (fault, user) = (scene.random.pick(&FAULTS), scene.number(1, 9_000));
    let _ = writeln!(scene.out, "{fault} {{\"user\":{user}}} ");
    1
}

fn laravel_with_a_trace(scene: &mut Scene) -> u64 {
    scene.laravel("ERROR");
    let (fault, line) = (scene.random.pick(&FAULTS), scene.number(20, 300));
    let _ = writeln!(
        scene.out,
        "{fault} {{\"exception\":\"[object] (RuntimeException(code: 0): {fault} at \
         /var/www/html/app/Services/Trips.php:{line})"
    );
    1 + scene.laravel_trace()
}

fn laravel_critical(scene: &mut Scene) -> u64 {
    scene.laravel("CRITICAL");
    let host = scene.number(1, 4);
    let _ = writeln!(scene.out, "SQLSTATE[HY000] [2002] Connection refused (Host: database-{host}, Port: 3306)  ");
    1
}

fn pino(scene: &mut Scene) -> u64 {
    scene.pino(50);
    let (fault, line) = (scene.random.pick(&FAULTS), scene.number(1, 400));
    let _ = writeln!(
        scene.out,
        "\"err\":{{\"type\":\"Error\",\"message\":\"{fault}\",\"stack\":\"Error: {fault}\\n    at load \
         (/srv/api/trips.js:{line}:11)\"}},\"msg\":\"request failed\"}}"
    );
    1
}

fn pino_fatal(scene: &mut Scene) -> u64 {
    scene.pino(60);
    let free = scene.number(1, 64);
    let _ = writeln!(scene.out, "\"free_mb\":{free},\"msg\":\"out of memory, giving up\"}}");
    1
}

fn logfmt(scene: &mut Scene) -> u64 {
    scene.logfmt("error");
    let (fault, attempt) = (scene.random.pick(&FAULTS), scene.number(1, 6));
    let _ = writeln!(scene.out, "msg=\"sync broke off\" err=\"{fault}\" attempt={attempt}");
    1
}

/// The level says INFO, the status says what happened.
fn uvicorn(scene: &mut Scene) -> u64 {
    let (method, thing, id) = scene.request();
    let (host, port) = (scene.number(1, 255), scene.number(30_000, 60_000));
    let _ = writeln!(
        scene.out,
        "INFO:     10.4.2.{host}:{port} - \"{method} /geo/{thing}/{id} HTTP/1.1\" 500 Internal Server Error"
    );
    1
}

fn uvicorn_with_a_trace(scene: &mut Scene) -> u64 {
    let (depth, key) = (scene.number(2, 8), scene.number(1, 9_000));
    let _ = writeln!(scene.out, "ERROR:    Exception in ASGI application\nTraceback (most recent call last):");
    for nth in 0..depth {
        let line = scene.number(10, 700);
        let _ =
            writeln!(scene.out, "  File \"/srv/geo/layer{nth}.py\", line {line}, in handle\n    return inner(request)");
    }
    let _ = writeln!(scene.out, "KeyError: 'vehicle-{key}'");
    3 + 2 * depth
}

fn nginx(scene: &mut Scene) -> u64 {
    let (connection, host) = (scene.number(1, 1 << 24), scene.number(1, 255));
    let (_, thing, id) = scene.request();
    let (slashed, time) = (&scene.clock.slashed, &scene.clock.time);
    let _ = writeln!(
        scene.out,
        "{slashed} {time} [error] 31#31: *{connection} connect() failed (111: Connection refused) while connecting to \
         upstream, client: 10.4.2.{host}, server: _, request: \"GET /{thing}/{id} HTTP/1.1\""
    );
    1
}

fn postgres(scene: &mut Scene) -> u64 {
    let (process, id, part) = (scene.number(50, 999), scene.number(1, 900_000), scene.clock.part());
    let (date, time) = (&scene.clock.date, &scene.clock.time);
    let head = format!("{date} {time}.{part:03} UTC [{process}] ");
    let _ = writeln!(
        scene.out,
        "{head}ERROR:  duplicate key value violates unique constraint \"trips_pkey\"\n\
         {head}DETAIL:  Key (id)=({id}) already exists.\n\
         {head}STATEMENT:  INSERT INTO trips (id) VALUES ($1)"
    );
    3
}

fn plain(scene: &mut Scene) -> u64 {
    let (fault, worker) = (scene.random.pick(&FAULTS), scene.number(1, 9));
    let _ = writeln!(scene.out, "worker-{worker} error: {fault}");
    1
}

fn plain_dated(scene: &mut Scene) -> u64 {
    let (fault, worker, part) = (scene.random.pick(&FAULTS), scene.number(1, 9), scene.clock.part());
    let (date, time) = (&scene.clock.date, &scene.clock.time);
    let _ = writeln!(scene.out, "{date}T{time}.{part:03}Z cron: Error: {fault} (worker {worker})");
    1
}
