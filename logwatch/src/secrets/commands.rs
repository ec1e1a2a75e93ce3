//! Secrets in command lines and in statements of SQL, as audit logs, cron and error messages repeat them.

use super::named::{PASSWORD, SECRET};
use super::plain;
use super::rule::{Candidate, Rule, Telltale, telltales};

/// What gives a statement away that sets a password.
const SQL: &[Telltale] = telltales!(Quoted: "NTIFIED ", "dentified "; Assigned: "passw", "Passw", "PASSW");

/// In the order in which they have a say.
pub(super) static RULES: [Rule; 6] = [
    // sudo, cron and auditd log whole command lines; so do programs that cannot start another one.
    Rule::before(
        "option-password",
        PASSWORD,
        r"(?i)(?:^|\s|['\x22])--?(?:[a-z]+-)*(?:(?:password|passwd|passphrase)(?:[= ]|\\{0,3}['\x22], ?)|(?:pass|pwd)(?:=|\\{0,3}['\x22], ?))",
    )
    .only(|candidate| is_argument(candidate) && !is_prose(candidate))
    .advice("change this password: every user of the machine can read it in the list of processes"),
    Rule::before("option-token", SECRET, r"(?i)(?:^|\s|['\x22])--?(?:[a-z]+-)*(?:secret|token|(?:api|access)-key)(?:[= ]|\\{0,3}['\x22], ?)")
        .only(|candidate| is_argument(candidate) && plain::is_random(candidate.value()))
        .advice("revoke this token: every user of the machine can read it in the list of processes"),
    // `-pSECRET` has no space, `-p SECRET` would be a database's name; sshpass and redis-cli take one.
    Rule::before(
        "client-password",
        telltales!(Client: " -p", "\"-p", "'-p", " -a"),
        concat!(
            r"(?:\b(?:mysql|mariadb)[a-z_-]{0,16} (?:[^\n|;&]*? )?-p",
            r"|\b(?:mysql|mariadb)[a-z_-]{0,16}['\x22],[^\n\]]*?['\x22]-p",
            r"|\bsshpass (?:-v )?-p ?|\bredis-cli (?:[^\n|;&]*? )?-a )",
        ),
    )
    .only(is_argument)
    .advice("change this password: every user of the machine can read it in the list of processes"),
    // `curl -u user:password`; also of others that have learnt the option from it.
    Rule::group(
        "user-password",
        telltales!(Pair: " -u ", "--user "),
        concat!(
            r"(?:curl|wget|https?|lftp|skopeo|docker)\b[^\n]*? (?:-u|--user)[ =]",
            r#"["'\\]{0,2}[^\s:"']{1,128}:(?<value>[^\s"'\\]{3,256})"#,
        ),
    )
    .only(is_argument)
    .advice("change this user's password, and let curl read it from a file: curl --netrc-file"),
    // Variables that hold a password whatever it looks like: here a weak one counts too.
    Rule::before(
        "environment-password",
        telltales!(Assigned: "PASSW", "PASSP"; Anything: "PASS=", "PWD=", "I_AUTH="),
        concat!(
            r"\b(?:PGPASSWORD|MYSQL_PWD|(?:MYSQL|MARIADB)_ROOT_PASSWORD|POSTGRES_PASSWORD|REDISCLI_AUTH|SSHPASS",
            r"|RESTIC_PASSWORD|BORG_PASSPHRASE)=",
        ),
    )
    .only(is_argument)
    .advice("change this password, and keep the environment out of the log"),
    // MySQL: CREATE USER, ALTER USER, GRANT, SET PASSWORD. PostgreSQL: CREATE ROLE, ALTER ROLE. And tables of users.
    Rule::group(
        "sql-password",
        SQL,
        concat!(
            r"(?i)(?:identified\s{1,2}(?:with\s{1,2}\S{1,64}\s{1,2})?(?:by|as)\s{1,2}(?:password\s{1,2})?",
            r"|password\s{1,2}for\s{1,2}\S{1,130}\s{0,2}=\s{0,2}(?:password\()?",
            r"|\b(?:set|,)\s{1,2}[`\x22]?password[`\x22]?\s{0,2}=\s{0,2}(?:password\()?",
            r"|(?:role|user|with|login)\s[^'\n]*?\bpassword\s{1,2}|\bpassword\()",
            r"(?:\\?['\x22])(?<value>[^'\x22\n\\]{1,256})",
        ),
    )
    .only(is_argument)
    .advice("change this user's password, and keep statements that set one out of the log"),
];

/// Whether a value was given for real: no placeholder, no hash, no port that `-p` publishes.
fn is_argument(candidate: &Candidate<'_>) -> bool {
    let value = candidate.value();
    let is_port = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b':') && value.contains(&b':');
    let is_option = value.starts_with(b"-");
    !is_port && !is_option && !plain::is_placeholder(value) && !plain::is_hash(value)
}

/// Words that follow the name of an option in sentences about it.
const PROSE: &[&[u8]] = &[
    b"a",
    b"and",
    b"argument",
    b"as",
    b"can",
    b"flag",
    b"for",
    b"from",
    b"has",
    b"in",
    b"instead",
    b"is",
    b"on",
    b"option",
    b"or",
    b"parameter",
    b"requires",
    b"switch",
    b"to",
    b"was",
    b"with",
];

/// Whether a sentence speaks of the option, as in `the --password option is insecure`.
fn is_prose(candidate: &Candidate<'_>) -> bool {
    candidate.announced().ends_with(b" ") && PROSE.iter().any(|word| candidate.value().eq_ignore_ascii_case(word))
}
