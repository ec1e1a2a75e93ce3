//! Messages that must and that must not fall together, and what holds for all bytes.

mod fuzz;
use proptest::prelude::*;

use super::*;

/// What only tests want to know.
impl Templates {
    /// All templates, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Template> {
        self.known.values()
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none are known.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn masked(text: &str) -> String {
    mask(text.as_bytes(), 0)
}

/// A moment so many days after the first run.
fn day(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + number * 86_400, 0).unwrap()
}

/// The texts of the templates that these messages make, in the order of their numbers.
fn grouped(messages: &[&str]) -> Vec<String> {
    let mut known = Templates::default();
    known.begin(day(0));
    for message in messages {
        known.assign(&masked(message), Some(Level::Error));
    }
    known.iter().map(|template| template.text.clone()).collect()
}

#[track_caller]
fn assert_together(messages: &[&str]) {
    let groups = grouped(messages);
    assert_eq!(groups.len(), 1, "{messages:?} made {groups:#?}");
}

#[track_caller]
fn assert_apart(messages: &[&str]) {
    let groups = grouped(messages);
    assert_eq!(groups.len(), messages.len(), "{messages:?} made {groups:#?}");
}

#[test]
fn what_differs_by_its_looks_is_masked() {
    for (message, expected) in [
        ("2026-05-06T12:00:00.123Z ERROR order 99 failed", "<*> ERROR order <*> failed"),
        ("[Sun Dec 04 04:47:44 2005] worker in state -6", "[<*>] worker in state <*>"),
        ("Jan  2 06:25:43 web sshd[12]: bye", "<*> web sshd[<*>]: bye"),
        ("12/May/2026:12:00:00 +0200 done", "<*> done"),
        ("id a1b2c3d4-dead-beef-aaaa-bbbbccccdddd gone", "id <*> gone"),
        ("from 10.0.0.1:5432 to [fe80::1%eth0]:80", "from <*> to [<*>]:<*>"),
        ("mail to jane.doe@example.org bounced", "mail to <*> bounced"),
        ("at 0x7ffd12ab commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "at <*> commit <*>"),
        ("took 1.5s, 20 ms, 3 seconds", "took <*>"),
        ("close, 1190 bytes (1.16 KB) sent", "close, <*> sent"),
        ("close, 0 bytes sent", "close, <*> sent"),
        ("lifetime <1 sec", "lifetime <*>"),
        ("disk 97% full, +3 -4", "disk <*> full, <*>"),
        ("nginx/1.25.3 on linux 6.1.0-13-amd64", "nginx/<*> on linux <*>-amd<*>"),
        ("GET /orders/123/items?token=x&y=1 HTTP/1.1", "GET /orders/<*>/items?<*> HTTP/<*>"),
        ("https://u:p!w@db.example.org:5432/a/7?q=1 refused", "https://<*>@db.example.org:<*>/a/<*>?<*> refused"),
        ("main.go:42: boom", "main.go:<*>: boom"),
        ("blk_-1608999 and blk_38865049", "blk_<*> and blk_<*>"),
        ("container_144_0020_01_000002 is up", "container_<*> is up"),
        ("attempt_14_m_00_0 is up", "attempt_<*> is up"),
        ("R02-M1-N0-C:J12-U11 failed", "<*> failed"),
        ("key dGhpc0lzQVNlY3JldDEyMzQ end", "key <*> end"),
        ("isBluetoothA2dpOn by log4j", "isBluetoothA2dpOn by log4j"),
        ("select * from t where id = 5 and name = 'bob'", "select * from t where id = <*> and name = '<*>'"),
        (
            "level=error msg=\"no route to db\" err=EOF user=bob ok=true n=5",
            "level=<*> msg=\"no route to db\" err=EOF user=<*> ok=true n=<*>",
        ),
        ("Fan speeds ( 3552 3552 3391 )", "Fan speeds ( <*> )"),
        ("missing fields: name, email, phone", "missing fields: <*>"),
        ("nodes: node-31 0x1f <ok> node-0 0xff <ok> node-7 0xfe <ok>", "nodes: node-<*> <*> <ok>"),
        ("connect() failed (111: refused), client: 1.2.3.4, server: _", "connect() failed (<*>: refused)"),
        ("late {\"user\":\"bob\",\"ok\":true,\"n\":5} []", "late {\"user\":<*>,\"ok\":true,\"n\":<*>} []"),
        ("late {'user': 'bob', 'error': 'gone away'} now", "late {'user':<*>, 'error': '<*>'} now"),
        ("cannot open 'notes': No such file", "cannot open 'notes': No such file"),
        ("\u{1b}\0 a\tb", "a b"),
    ] {
        assert_eq!(masked(message), expected, "of {message:?}");
    }
}

#[test]
fn what_means_something_stays_apart() {
    assert_apart(&["AirPort: Link Up on en0 now", "AirPort: Link Down on en0 now", "AirPort: Link Up on awdl0 now"]);
    assert_apart(&["db:5 open through proxy x:1 HTTPS", "db:5 open through proxy x:1 SOCKS5"]);
    assert_apart(&["session opened for user root", "session closed for user root"]);
    assert_apart(&["setting enabled=true by hand", "setting enabled=false by hand", "setting enabled=null by hand"]);
    assert_apart(&["query failed with ER_NO_SUCH_TABLE", "query failed with ER_DUP_ENTRY"]);
    assert_apart(&["Undefined variable 'foo' in handler", "Undefined variable 'bar' in handler"]);
    assert_apart(&["Disk is full", "Queue is full"]);
    assert_apart(&["connection refused", "connection reset", "connection closed", "connection lost"]);
    assert_apart(&[
        "VM 5 Started by hand",
        "VM 5 Stopped by hand",
        "VM 5 Paused by hand",
        "VM 5 Resumed by hand",
        "VM 5 Deleted by hand",
        "VM 5 Suspended by hand",
    ]);
    assert_apart(&["connection from 1.2.3.4 () at 5", "connection from 1.2.3.4 (host7) at 5"]);
    assert_apart(&["got an android.intent.action.SCREEN_ON there", "got an android.intent.action.SCREEN_OFF there"]);
    assert_apart(&["got a java.lang.NullPointerException there", "got a java.io.IOException there"]);
    assert_apart(&["uncaught KeyError in the job", "uncaught ValueError in the job"]);
    assert_apart(&["GET /orders/1/items failed", "POST /orders/1/items failed"]);
}

#[test]
fn what_differs_in_values_is_one() {
    assert_together(&["session opened for user root by 0", "session opened for user news by 0"]);
    assert_together(&["Failed password for root from 1.2.3.4", "Failed password for alice from 1.2.3.5"]);
    assert_together(&["could not open /etc/app.conf again", "could not open /srv/x/y.txt again"]);
    assert_together(&["cannot look up mail.example.org there", "cannot look up ns.example.com there"]);
    assert_together(&["com.acme.Cart: told to run this job", "com.acme.stock.Pay: told to run this job"]);
    assert_together(&["order 5 of user 7 is late", "order 6 of user 8 is late"]);
    assert_together(&["took 5 ms for all", "took 1.5 s for all", "took 3 seconds for all"]);
    assert_together(&["task worker-1 died", "task worker-27 died"]);
}

#[test]
fn many_alternatives_at_one_place_are_values() {
    let few = ["No such word 'one' in list", "No such word 'two' in list", "No such word 'three' in list"];
    assert_apart(&few);
    let many = [&few[..], &["No such word 'four' in list"]].concat();
    assert_eq!(grouped(&many), ["No such word '<*>' in list"]);
}

/// A word of its own for each number.
fn name(number: usize) -> String {
    let letter = |at: u8| char::from(b'a' + at);
    let digits = [number / 26 % 26, number % 26, number * 7 % 26].map(|digit| letter(u8::try_from(digit).unwrap()));
    format!("Na{}{}{}k", digits[0], digits[1], digits[2])
}

#[test]
fn first_and_last_names_are_values_when_many_were_seen() {
    let parcel = |first: usize, last: usize| {
        format!("Could not ship the parcel of {} {} to customer {first}", name(first), name(100 + last))
    };
    let general = ["Could not ship the parcel of <*> <*> to customer <*>"];
    for people in [5, 12, 40] {
        let messages: Vec<String> =
            (0..1500).map(|number| parcel(number * 17 % people, number * number * 13 / 7 % 40)).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let groups = grouped(&messages);
        assert!(people < 6 && groups.len() <= people || groups == general, "{people} people made {groups:#?}");
    }
    let messages: Vec<String> = (0..40).map(|number| parcel(number, number)).collect();
    assert_eq!(grouped(&messages.iter().map(String::as_str).collect::<Vec<_>>()), general, "of whom each came once");
}

#[test]
fn two_words_that_are_all_that_is_said_stay_apart() {
    let messages: Vec<String> =
        (0..20).map(|number| format!("worker of the queue: {} {}", name(number), name(100 + number))).collect();
    assert_apart(&messages.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn alternatives_that_turn_out_to_be_values_keep_the_oldest_number_and_lead_to_it() {
    let mut known = Templates::default();
    known.begin(day(0));
    let words = ["one", "two", "three", "four", "five", "six", "seven"];
    let ids: Vec<u32> =
        words.iter().map(|word| known.assign(&format!("no such word {word} here"), None).unwrap()).collect();
    assert_eq!(known.len(), 1);
    for id in ids {
        assert_eq!(known.resolve(id), 0);
        assert_eq!(known.get(id).unwrap().text, "no such word <*> here");
    }
    assert_eq!(known.assign("something else entirely", None), Some(5), "numbers are never given twice");
}

#[test]
fn secrets_are_no_part_of_a_mask() {
    for (message, expected) in [
        ("login with password=correcthorse refused", "login with password=<*> refused"),
        ("GET /a/b?token=correcthorse&y=1 failed", "GET /a/b?<*> failed"),
        ("cannot reach mysql://root:correct!horse@db/app now", "cannot reach mysql://<*>@db/app now"),
        ("key AKIA5QWERTYU7IOPASDF is not known", "key <*> is not known"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.SflKxwRJSMeKKF2QT4fwpM expired", "jwt <*> expired"),
    ] {
        assert_eq!(masked(message), expected, "of {message:?}");
    }
}

#[test]
fn a_json_record_is_its_message_else_its_keys() {
    let by_name = r#"{"level":50,"time":1,"msg":"order 5 \"late\"","user":"bob"}"#;
    assert_eq!(masked(by_name), "order <*> \"late\"");
    let at = by_name.find("order").unwrap();
    assert_eq!(mask(by_name.as_bytes(), at), "order <*> \"late\"");
    assert_eq!(
        masked(r#"{"message":"","a":{"msg":"no"},"b":[1,"]"],"c":"x"}"#),
        "{message: <*>, a: <*>, b: <*>, c: <*>}"
    );
    let logfmt = r#"time=1 level=error msg="order 5 late" user=bob err="gone away" ok=true"#;
    let at = logfmt.find("order").unwrap();
    assert_eq!(mask(logfmt.as_bytes(), at), r#"order <*> late user=<*> err="gone away" ok=true"#);
    let wrapped = r#"May  1 12:00:00 web shop[1]: {"msg":"order 5 late","x":1}"#;
    assert_eq!(mask(wrapped.as_bytes(), wrapped.find("order").unwrap()), "order <*> late");
    assert_eq!(masked(r#"{"broken"#), "{\"broken");
}

const PYTHON: &str = "ERROR in job 5\nTraceback (most recent call last):\n  File \"/app/main.py\", line 3, in run\n    go()\n  File \
    \"/app/shop/pay.py\", line 17, in charge\n    call()\n  File \"/usr/lib/python3.11/json/decoder.py\", line 5, in decode\n    \
    raise\nValueError: bad value 'x'";
const JAVA: &str = "2026-01-01 ERROR [main] failed\njava.lang.IllegalStateException: no order 5\n\tat \
    java.base/java.util.Map.get(Map.java:3)\n\tat org.springframework.web.Go.go(Go.java:1)\n\tat \
    com.acme.shop.Pay.charge(Pay.java:17)\n\tat com.acme.Main.main(Main.java:3)\nCaused by: java.io.IOException: x\n\t... 3 more";
const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'x')\n    at node:internal/fs:1:2\n    at Layer.handle \
    (/app/node_modules/express/layer.js:95:5)\n    at async charge (/app/src/pay.js:17:5)";
const PHP: &str = "PHP Fatal error:  Uncaught DomainException: no order 5 in /app/vendor/acme/Lib.php:12\nStack trace:\n#0 \
    /app/vendor/acme/Run.php(3): Lib->go()\n#1 /app/src/Pay.php(17): Acme\\Run->all(Object(X))\n#2 {main}\n  thrown in /app/vendor/x";
const LARAVEL: &str = "[2026-01-01 00:00:00] production.ERROR: no order 5 {\"exception\":\"[object] (App\\Late(code: 0): no order 5 at \
    /app/app/Pay.php:17)\n[stacktrace]\n#0 /app/vendor/x.php(3): App\\Pay->charge()\n#1 {main}\n\"}";
const GO: &str = "panic: runtime error: index out of range [5]\n\ngoroutine 1 [running]:\nruntime.gopanic({0x1, 0x2})\n\t\
    /usr/local/go/src/runtime/panic.go:884 +0x213\nmain.(*Shop).charge(0xc000)\n\t/app/pay.go:17 +0x1d";
const RUST: &str = "thread 'main' panicked at src/pay.rs:17:5:\nno order 5\nstack backtrace:\n   0: rust_begin_unwind\n             at \
    /rustc/abc/library/std/src/panicking.rs:645:5\n   1: shop::pay::charge\n             at ./src/pay.rs:17:5";

#[test]
fn a_trace_is_what_was_thrown_and_where_in_the_application() {
    for (trace, expected) in [
        (PYTHON, "ValueError: <*> at charge (/app/shop/pay.py)"),
        (JAVA, "java.lang.IllegalStateException: <*> at com.acme.shop.Pay.charge (Pay.java)"),
        (NODE, "TypeError: <*> at charge (/app/src/pay.js)"),
        (PHP, "DomainException: <*> at Acme\\Run->all (/app/src/Pay.php)"),
        (LARAVEL, "App\\Late: <*> at (/app/app/Pay.php)"),
        (GO, "panic: <*> at main.(*Shop).charge (/app/pay.go)"),
        (RUST, "panic: <*> at shop::pay::charge (./src/pay.rs)"),
    ] {
        assert_eq!(masked(trace), expected, "of {trace}");
        let other_message = trace
            .replace("no order 5", "something else")
            .replace("bad value 'x'", "worse")
            .replace("of undefined", "of null");
        assert_eq!(masked(&other_message), expected);
        let later_lines = trace.replace("17", "23");
        assert_eq!(masked(&later_lines), expected);
        let other_place = trace.replace("charge", "refund").replace("Pay.php", "Refund.php");
        assert_ne!(masked(&other_place), expected);
    }
}

#[test]
fn a_trace_without_a_place_of_the_application_is_what_it_says() {
    let trace = "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space 5\n\tat java.util.Arrays.copyOf(Arrays.java:3)";
    assert_eq!(masked(trace), "java.lang.OutOfMemoryError: Java heap space <*>");
}

#[test]
fn several_lines_that_are_no_trace_are_their_first() {
    assert_eq!(masked("select 5\n  from t\n  at 3"), "select <*>");
}

#[test]
fn a_long_python_trace_still_ends_with_what_was_raised() {
    let frames = "  File \"/usr/lib/python3/x.py\", line 1, in y\n    z()\n".repeat(200);
    let trace = PYTHON.replace("  File \"/app/main.py\"", &format!("{frames}  File \"/app/main.py\""));
    let trace = trace.as_bytes();
    assert!(trace.len() > crate::tally::SAMPLE);
    assert_eq!(mask(trace, 0), masked(PYTHON));
    assert_eq!(shape(trace, 0), shape(&excerpt(trace), 0));
}

#[test]
fn a_million_different_messages_stay_within_the_bounds() {
    let mut known = Templates::default();
    known.begin(day(0));
    let letters =
        |number: u32| -> String { (0..6).map(|at| char::from(b'a' + (number >> (4 * at) & 15) as u8)).collect() };
    for number in 0..1_000_000 {
        let word = letters(number);
        known.assign(&format!("{word} {word} is gone"), None);
    }
    assert_eq!(known.len(), MOST_TEMPLATES);
    assert!(known.leaves.len() <= MOST_TEMPLATES && known.exact.len() <= MOST_TEMPLATES);
    assert_eq!(known.assign("aaaaaa aaaaaa is gone", None), Some(0), "what is known stays known");
}

#[test]
fn a_flood_of_new_messages_does_not_wipe_out_what_is_known() {
    let mut known = Templates::default();
    let word = |number: usize| {
        format!("{}x{}", ["a", "b", "c", "d"][number % 4].repeat(number / 64 + 1), "y".repeat(number % 64))
    };
    let fill = |known: &mut Templates, what: &str, many: usize| {
        (0..many).filter_map(|number| known.assign(&format!("{} {what} is", word(number)), None)).count()
    };
    known.begin(day(0));
    assert_eq!(fill(&mut known, "old", MOST_TEMPLATES), MOST_TEMPLATES);
    known.begin(day(1));
    known.assign(&format!("{} old is", word(0)), None);
    assert_eq!(fill(&mut known, "new", MOST_TEMPLATES), MOST_TAKEN_OVER);
    assert_eq!(known.len(), MOST_TEMPLATES);
    assert!(known.get(0).is_some(), "what this run has seen stays");
    assert!(known.get(1).is_none(), "what was not seen for the longest time goes");
    assert!(known.is_new(known.iter().last().unwrap().id) && !known.is_new(0));
}

#[test]
fn a_record_as_long_as_it_may_be_has_a_bounded_mask() {
    let long = "word another ".repeat(400_000);
    let masked = masked(&long);
    assert!(masked.len() <= 4 << 10 && masked.split(' ').count() <= 128);
}

#[test]
fn numbers_survive_being_stored() {
    let mut known = Templates::default();
    known.begin(day(0));
    for word in ["one", "two", "three", "four", "five", "six"] {
        known.assign(&format!("no such word {word} here"), Some(Level::Warning));
    }
    let id = known.assign("disk is full", Some(Level::Error)).unwrap();
    known.count(id, 7);
    let stored = serde_json::to_string(&known).unwrap();
    let mut read: Templates = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, known);
    read.begin(day(1));
    assert_eq!(read.assign("disk is full", None), Some(id));
    assert_eq!(read.get(4).unwrap().text, "no such word <*> here");
    assert!(!read.is_new(id));
    let template = read.get(id).unwrap();
    assert_eq!(
        (template.level, template.count, template.first_seen, template.last_seen),
        (Some(Level::Error), 7, day(0), day(1))
    );
}

#[test]
fn what_another_algorithm_made_is_left_and_its_numbers_are_not_given_again() {
    let mut read: Templates =
        serde_json::from_str(r#"{"algo":99,"next":41,"known":[[7,"a",null,0,0,1]],"more":1}"#).unwrap();
    assert!(read.is_empty());
    assert_eq!(read.assign("new", None), Some(41));
}

#[test]
fn a_row_that_makes_no_sense_is_left_out_alone() {
    let stored = r#"{"algo":1,"next":0,"known":[5,[7,"disk full",null,0,0,1],[7,"twice",null,0,0,1],[8]],"aliases":[[7,7],[3,7],[4,9]]}"#;
    let mut read: Templates = serde_json::from_str(stored).unwrap();
    assert_eq!(read.get(3).unwrap().text, "disk full");
    assert_eq!((read.len(), read.get(4)), (1, None));
    assert_eq!(read.assign("new", None), Some(8));
}

/// Bytes as hostile as they come, and lines as they are in logs.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let word = "([a-z]{1,9}|[A-Za-z0-9_.:/=@-]{1,14}|[0-9]{1,6}|<\\*>|[\"'(){}\\[\\],;<>?%=&]{1,3}| KB|Jan|\\{\"msg\":\"|true)";
    let line = proptest::collection::vec(word, 0..20).prop_map(|words| words.join(" ").into_bytes());
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), line]
}

/// A message, with other numbers in the same places.
fn renumbered(text: &[u8], digits: &[u8]) -> Vec<u8> {
    let mut digits = digits.iter().cycle();
    text.iter().map(|byte| if byte.is_ascii_digit() { *digits.next().unwrap() } else { *byte }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_break_it(bytes in lines(), more in lines(), message in 0_usize..400) {
        let record = [&bytes[..], b"\n", &more].concat();
        shape(&record, message);
        let text = mask(&record, message);
        prop_assert!(text.len() <= 4 << 10);
        prop_assert!(!text.chars().any(char::is_control));
    }

    #[test]
    fn records_of_one_shape_have_one_mask(bytes in lines(), digits in "[0-9]{1,7}") {
        let other = renumbered(&bytes, digits.as_bytes());
        if shape(&bytes, 0) == shape(&other, 0) {
            prop_assert_eq!(mask(&bytes, 0), mask(&other, 0));
        }
    }

    #[test]
    fn masking_again_changes_nothing(bytes in lines()) {
        let once = mask(&bytes, 0);
        prop_assert_eq!(mask(once.as_bytes(), 0), once);
    }

    #[test]
    fn no_number_survives(before in "[a-z]{2,8}", number in "[0-9]{1,20}", after in "[a-z]{2,8}") {
        let text = masked(&format!("{before} {number} {after}{number} ({number}) {number}{after} x={number}/{number}"));
        prop_assert!(!text.bytes().any(|byte| byte.is_ascii_digit()), "{}", text);
    }

    #[test]
    fn no_high_entropy_survives(secret in "[A-Za-z0-9]{32}") {
        prop_assume!(secret.bytes().filter(u8::is_ascii_digit).count() > 2);
        let text = masked(&format!("token {secret} was refused"));
        prop_assert_eq!(text, "token <*> was refused");
    }

    #[test]
    fn masks_that_are_equal_make_the_same_templates_in_any_order(order in Just((0..24_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let verbs = ["opened", "closed", "lost"];
        let message = |at: &usize| masked(&format!("file {at} was {} by worker {}", verbs[at % 3], at * 7));
        let mut known = Templates::default();
        for at in &order {
            known.assign(&message(at), None);
        }
        let mut texts: Vec<&str> = known.iter().map(|template| template.text.as_str()).collect();
        texts.sort_unstable();
        prop_assert_eq!(texts, ["file <*> was closed by worker <*>", "file <*> was lost by worker <*>", "file <*> was opened by worker <*>"].to_vec());
    }
}

#[test]
fn a_value_whose_name_stands_before_the_message_is_masked_too() {
    let record = b"2026-11-20 13:00:00 ERROR password: hunter2Xq";
    let message = record.iter().rposition(|byte| *byte == b' ').unwrap() + 1;
    assert!(!mask(record, message).contains("hunter2Xq"), "{}", mask(record, message));
}
