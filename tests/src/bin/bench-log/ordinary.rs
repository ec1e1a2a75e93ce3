//! Records that are no errors. The second half of them speak of errors all the same.

use std::io::Write as _;

use crate::scene::{Scene, Shape};

/// All of them.
pub(crate) const SHAPES: [Shape; 22] = [
    (220, page),
    (110, uvicorn),
    (120, pino_request),
    (90, logfmt_request),
    (90, laravel_info),
    (35, laravel_debug),
    (15, laravel_warning),
    (2, laravel_warning_with_a_trace),
    (45, scheduler),
    (45, dated),
    (6, nginx_buffered),
    (12, pino_warning),
    (40, logfmt_debug),
    (14, redis),
    (14, postgres),
    (45, page_about_errors),
    (32, logfmt_without_errors),
    (20, pino_without_error),
    (12, laravel_of_a_user),
    (10, uvicorn_about_errors),
    (18, plain_about_errors),
    (5, failover),
];

const JOBS: [&str; 6] =
    ["import positions", "send invoices", "prune sessions", "sync fuel cards", "warm cache", "rotate keys"];
const TYPED: [&str; 5] = ["ERROR 500", "what means ERROR 17", "CRITICAL ERROR on dashboard", "error", "Fatal error"];

fn page(scene: &mut Scene) -> u64 {
    let (method, thing, id) = scene.request();
    let status = if scene.number(0, 20) == 0 { 404 } else { 200 };
    scene.combined(method, format_args!("/api/v1/{thing}/{id}"), status)
}

fn uvicorn(scene: &mut Scene) -> u64 {
    let (method, thing, id) = scene.request();
    let (host, port) = (scene.number(1, 255), scene.number(30_000, 60_000));
    let _ = writeln!(scene.out, "INFO:     10.4.2.{host}:{port} - \"{method} /geo/{thing}/{id} HTTP/1.1\" 200 OK");
    1
}

fn pino_request(scene: &mut Scene) -> u64 {
    scene.pino(30);
    let (_, thing, id) = scene.request();
    let took = scene.number(1, 900);
    let _ = writeln!(scene.out, "\"url\":\"/{thing}/{id}\",\"ms\":{took},\"msg\":\"request completed\"}}");
    1
}

fn logfmt_request(scene: &mut Scene) -> u64 {
    scene.logfmt("info");
    let (method, thing, id) = scene.request();
    let took = scene.number(1, 900);
    let _ = writeln!(scene.out, "msg=\"request done\" method={method} path=/{thing}/{id} status=200 took={took}ms");
    1
}

fn laravel_info(scene: &mut Scene) -> u64 {
    scene.laravel("INFO");
    let (job, id, took) = (scene.random.pick(&JOBS), scene.number(1, 1_000_000), scene.number(5, 60_000));
    let _ = writeln!(scene.out, "job done: {job} {{\"job\":{id},\"ms\":{took}}} ");
    1
}

fn laravel_debug(scene: &mut Scene) -> u64 {
    scene.laravel("DEBUG");
    let (hit, key) = (scene.random.pick(&["hit", "miss"]), scene.number(0, 1 << 32));
    let _ = writeln!(scene.out, "cache {hit} for vehicle:{key:08x}:position  ");
    1
}

fn laravel_warning(scene: &mut Scene) -> u64 {
    scene.laravel("WARNING");
    let (took, rows) = (scene.number(1_000, 30_000), scene.number(1, 1_000_000));
    let _ = writeln!(scene.out, "slow query: {took} ms, {rows} rows {{\"connection\":\"mysql\"}} ");
    1
}

/// Somebody caught it and went on: many lines, and no error.
fn laravel_warning_with_a_trace(scene: &mut Scene) -> u64 {
    scene.laravel("WARNING");
    let line = scene.number(20, 300);
    let _ = writeln!(
        scene.out,
        "upstream slow, retried {{\"exception\":\"[object] (App\\\\Exceptions\\\\UpstreamError(code: 0): timeout at \
         /var/www/html/app/Services/Fuel.php:{line})"
    );
    1 + scene.laravel_trace()
}

/// No time, no level.
fn scheduler(scene: &mut Scene) -> u64 {
    let (job, worker, id) = (scene.random.pick(&JOBS), scene.number(1, 9), scene.number(1, 1_000_000));
    let _ = writeln!(scene.out, "worker-{worker} picked up {job} #{id}, attempt 1 of 3");
    1
}

/// A time and no level.
fn dated(scene: &mut Scene) -> u64 {
    let (job, rows, part) = (scene.random.pick(&JOBS), scene.number(0, 50_000), scene.clock.part());
    let (date, time) = (&scene.clock.date, &scene.clock.time);
    let _ = writeln!(scene.out, "{date}T{time}.{part:03}Z cron: {job} finished, {rows} rows");
    1
}

fn nginx_buffered(scene: &mut Scene) -> u64 {
    let (connection, part, host) = (scene.number(1, 1 << 24), scene.number(0, 100), scene.number(1, 255));
    let (slashed, time) = (&scene.clock.slashed, &scene.clock.time);
    let _ = writeln!(
        scene.out,
        "{slashed} {time} [warn] 31#31: *{connection} an upstream response is buffered to a temporary file \
         /var/cache/nginx/proxy_temp/{part}, client: 10.4.2.{host}, server: _"
    );
    1
}

fn pino_warning(scene: &mut Scene) -> u64 {
    scene.pino(40);
    let left = scene.number(1, 50);
    let _ = writeln!(scene.out, "\"pool\":\"mysql\",\"free\":{left},\"msg\":\"few connections left\"}}");
    1
}

fn logfmt_debug(scene: &mut Scene) -> u64 {
    scene.logfmt("debug");
    let (vehicle, north, east) = (scene.number(1, 400), scene.number(0, 1_000_000), scene.number(0, 1_000_000));
    let _ = writeln!(scene.out, "msg=position vehicle={vehicle} lat=51.{north:06} lon=7.{east:06}");
    1
}

fn redis(scene: &mut Scene) -> u64 {
    let (changes, part) = (scene.number(10, 10_000), scene.clock.part());
    let (spaced, time) = (&scene.clock.spaced, &scene.clock.time);
    let _ = writeln!(scene.out, "1:M {spaced} {time}.{part:03} * {changes} changes in 60 seconds. Saving...");
    1
}

fn postgres(scene: &mut Scene) -> u64 {
    let (process, buffers, part) = (scene.number(50, 999), scene.number(1, 9_000), scene.clock.part());
    let (date, time) = (&scene.clock.date, &scene.clock.time);
    let _ = writeln!(
        scene.out,
        "{date} {time}.{part:03} UTC [{process}] LOG:  checkpoint complete: wrote {buffers} buffers; 0 files added"
    );
    1
}

// --- What speaks of errors and is none --------------------------------------------------------------------------------

fn page_about_errors(scene: &mut Scene) -> u64 {
    let id = scene.number(1, 9_000);
    match scene.number(0, 4) {
        0 => scene.combined("GET", format_args!("/error.php?id={id}"), 200),
        1 => scene.combined("GET", format_args!("/error_log"), 404),
        2 => scene.combined("POST", format_args!("/api/v1/errors/{id}/seen"), 200),
        _ => scene.combined("GET", format_args!("/assets/ErrorBoundary-{id:04x}.js"), 200),
    }
}

fn logfmt_without_errors(scene: &mut Scene) -> u64 {
    scene.logfmt("info");
    let (rows, batch) = (scene.number(1, 5_000), scene.number(1, 1_000_000));
    let _ = match scene.number(0, 3) {
        0 => writeln!(scene.out, "msg=\"batch stored\" batch={batch} rows={rows} errors=0"),
        1 => writeln!(scene.out, "msg=\"batch stored\" batch={batch} rows={rows} error=null"),
        _ => writeln!(scene.out, "msg=\"mounted\" dev=sda{batch} opts=\"rw,errors=remount-ro\" inodes={rows}"),
    };
    1
}

fn pino_without_error(scene: &mut Scene) -> u64 {
    scene.pino(30);
    let rows = scene.number(1, 5_000);
    let error = scene.random.pick(&["\"error\":null", "\"error\":false", "\"errors\":[]"]);
    let _ = writeln!(scene.out, "\"rows\":{rows},{error},\"msg\":\"import done\"}}");
    1
}

/// What users type is not what happened.
fn laravel_of_a_user(scene: &mut Scene) -> u64 {
    scene.laravel("INFO");
    let (typed, user) = (scene.random.pick(&TYPED), scene.number(1, 9_000));
    let _ = writeln!(scene.out, "search {{\"user\":{user},\"query\":\"{typed}\",\"hits\":3}} ");
    1
}

fn uvicorn_about_errors(scene: &mut Scene) -> u64 {
    let (host, port, id) = (scene.number(1, 255), scene.number(30_000, 60_000), scene.number(1, 900));
    let _ = writeln!(scene.out, "INFO:     10.4.2.{host}:{port} - \"GET /errors/{id} HTTP/1.1\" 200 OK");
    1
}

/// Neither a time nor a level, and words that a search would take for more than they are.
fn plain_about_errors(scene: &mut Scene) -> u64 {
    let (worker, rows) = (scene.number(1, 9), scene.number(1, 90_000));
    let _ = match scene.number(0, 4) {
        0 => writeln!(scene.out, "worker-{worker} finished: {rows} rows, 0 errors, 0 warnings"),
        1 => writeln!(scene.out, "worker-{worker} checked {rows} rows: no errors found"),
        2 => writeln!(scene.out, "worker-{worker} opened error_log /var/log/php/error_log at byte {rows}"),
        _ => writeln!(scene.out, "worker-{worker} summary: rows={rows} errors=0 skipped=0"),
    };
    1
}

fn failover(scene: &mut Scene) -> u64 {
    let (node, took) = (scene.number(1, 4), scene.number(20, 900));
    let _ = writeln!(scene.out, "sentinel: failover ok, node-{node} is primary after {took} ms");
    1
}
