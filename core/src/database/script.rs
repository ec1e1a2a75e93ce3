//! The scripts that run inside a database's container. They find the credentials that are there and become the client.
//!
//! POSIX sh, as dash and busybox have it. No secret is ever an argument: a password goes from the container's own
//! variables, or from the first line of standard input, into a variable of the client alone. Each script begins with
//! [`PRELUDE`] and one of the logins; its arguments are `$1` and on.

use super::engine::Engine;

/// `given`: the password that our side sends as the first line, mostly none. `value NAME…` prints the first of these
/// variables that is set, or the content of the file that `NAME_FILE` names, as the official images understand it.
const PRELUDE: &str = r#"
IFS= read -r given || given=
value() {
  for name in "$@"; do
    eval "direct=\${$name-} file=\${${name}_FILE-}"
    if [ -n "$direct" ]; then printf %s "$direct"; return; fi
    if [ -n "$file" ] && [ -r "$file" ]; then cat -- "$file"; return; fi
  done
}
client() {
  for program in "$@"; do
    if command -v "$program" >/dev/null 2>&1; then printf %s "$program"; return; fi
  done
  echo "shipshape: no client $1" >&2
  exit 127
}
"#;

/// The root user, else the application's own; a password that our side sends without a user is the root user's.
/// `MYSQL_PWD` is deprecated and works in all versions up to MySQL 9 and MariaDB 12; a file of defaults would have to be
/// written somewhere.
const MYSQL_LOGIN: &str = r#"
if [ -n "${SHIPSHAPE_USER-}" ]; then
  user=$SHIPSHAPE_USER; MYSQL_PWD=$given
else
  user=root; MYSQL_PWD=${given:-$(value MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD)}
  empty=${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD-${MYSQL_ALLOW_EMPTY_PASSWORD-${ALLOW_EMPTY_PASSWORD-}}}
  if [ -z "$MYSQL_PWD" ] && [ -z "$empty" ]; then
    own=$(value MARIADB_USER MYSQL_USER)
    if [ -n "$own" ]; then user=$own; MYSQL_PWD=$(value MARIADB_PASSWORD MYSQL_PASSWORD); fi
  fi
fi
export MYSQL_PWD
[ -z "${SHIPSHAPE_PORT-}" ] || { MYSQL_TCP_PORT=$SHIPSHAPE_PORT; export MYSQL_TCP_PORT; }
unset MYSQL_HOST given
"#;

/// `PGPORT` stays: the server beside the client reads it too, and its socket is called after it.
const POSTGRES_LOGIN: &str = r#"
if [ -n "${SHIPSHAPE_USER-}" ]; then
  PGUSER=$SHIPSHAPE_USER; PGPASSWORD=$given
else
  PGUSER=$(value POSTGRES_USER POSTGRESQL_USERNAME POSTGRESQL_USER); : "${PGUSER:=postgres}"
  PGPASSWORD=${given:-$(value POSTGRES_PASSWORD POSTGRESQL_PASSWORD POSTGRESQL_POSTGRES_PASSWORD)}
fi
export PGUSER PGPASSWORD
export PGCLIENTENCODING=UTF8 PGAPPNAME=shipshape
[ -z "${SHIPSHAPE_PORT-}" ] || { PGPORT=$SHIPSHAPE_PORT; export PGPORT; }
unset PGHOST PGHOSTADDR PGDATABASE PGSERVICE PGOPTIONS given
"#;

/// The password of the variables, else the one that the server was started with: our side sends that one, if its
/// command has it, else it is looked for in the configuration file.
const REDIS_LOGIN: &str = r#"
REDISCLI_AUTH=$given
[ -n "$REDISCLI_AUTH" ] || REDISCLI_AUTH=$(value REDISCLI_AUTH REDIS_PASSWORD VALKEY_PASSWORD)
if [ -z "$REDISCLI_AUTH" ]; then
  for conf in $(tr '\0' '\n' </proc/1/cmdline 2>/dev/null | grep '^/.*conf$') /etc/redis/redis.conf \
    /usr/local/etc/redis/redis.conf /etc/valkey/valkey.conf /usr/local/etc/valkey/valkey.conf; do
    if [ -r "$conf" ]; then
      REDISCLI_AUTH=$(sed -n 's/^[[:space:]]*requirepass[[:space:]]\{1,\}"\{0,1\}\([^"]*\)"\{0,1\}[[:space:]]*$/\1/p' "$conf" | tail -n 1)
      [ -z "$REDISCLI_AUTH" ] || break
    fi
  done
fi
if [ -n "$REDISCLI_AUTH" ]; then export REDISCLI_AUTH; else unset REDISCLI_AUTH; fi
cli=$(client redis-cli valkey-cli keydb-cli) || exit
[ -z "${SHIPSHAPE_USER-}" ] || set -- --user "$SHIPSHAPE_USER" "$@"
[ -z "${SHIPSHAPE_PORT-}" ] || set -- -p "$SHIPSHAPE_PORT" "$@"
unset given
"#;

/// Runs statements of standard input against the database `$1`, or none if that is empty, and stops at the first error.
/// A name of a database is never an argument that could be read as something else: of `libpq` it would be a connection
/// string.
/// `--binary-mode` switches off what the client itself would obey in a dump: `\!`, `source`, `tee`.
const MYSQL_FEED: &str = r#"
program=$(client mariadb mysql) || exit
database=$1 init=${2-} tells=${3-}
set -- --user="$user" --batch --skip-column-names --binary-mode --max-allowed-packet=1G --default-character-set=utf8mb4
[ -z "$init" ] || set -- "$@" --init-command="$init"
[ -z "$tells" ] || set -- "$@" --show-warnings
[ -z "$database" ] || set -- "$@" --database="$database"
exec "$program" "$@"
"#;

/// Where no database is named, the first that there is: the usual one may be the one that was lost.
const POSTGRES_FEED: &str = r#"
program=$(client psql) || exit
PGDATABASE=$1; export PGDATABASE
if [ -z "$PGDATABASE" ]; then
  for PGDATABASE in "$(value POSTGRES_DB POSTGRESQL_DATABASE)" "$PGUSER" postgres template1; do
    [ -z "$PGDATABASE" ] || ! "$program" -X --no-password --command= </dev/null >/dev/null 2>&1 || break
  done
fi
exec "$program" -X --quiet --no-password --set=ON_ERROR_STOP=1
"#;

const REDIS_ASK: &str = r#"
exec "$cli" --raw "$@"
"#;

/// `blocks PROGRAM ARG…` is `exec`, with what the program writes put together into large blocks. The clients write 4 KiB at a
/// time, and each of these passes four processes on its way out of a container: put together, a dump costs half of the
/// processor time that it costs without. The program's status is kept, as a pipe of its own would not.
const BLOCKS: &str = r#"
blocks() {
  command -v dd >/dev/null 2>&1 || exec "$@"
  exec 4>&1
  codes=$({ { "$@" 3>&- 4>&-; echo $? >&3; } | { dd ibs=64k obs=1024k 2>/dev/null >&4 3>&- || echo 1 >&3; }; } 3>&1)
  for code in ${codes:-1}; do [ "$code" = 0 ] || exit "$code"; done
  exit 0
}
"#;

/// One database, whole and consistent: pitfalls 2, 5, 6 and 7 of the notes decide the options. `--skip-dump-date` keeps a
/// dump of unchanged data the same, so that it need not be stored again; `--comments` keeps its end mark. `--loose-…`: clients
/// before 8.0.2 do not know the option, and need it not. `$2`, if any, asks for the history of system-versioned tables.
const MYSQL_DUMP: &str = r#"
program=$(client mariadb-dump mysqldump) || exit
history=${2-}
set -- --single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces \
  --default-character-set=utf8mb4 --max-allowed-packet=1G --net-buffer-length=1M --comments --skip-dump-date -- "$1"
case $("$program" --version) in
  *MariaDB*) ;;
  *) set -- --set-gtid-purged=OFF --loose-column-statistics=0 "$@" ;;
esac
[ -z "$history" ] || set -- --dump-history "$@"
blocks "$program" --user="$user" "$@"
"#;

/// What a database has beside its tables. `$1` is the mark, `$2` the database; then, for each kind, its word, a number, and
/// as many names: the only tables or views that are looked at, for one that cannot be used any more would end the client.
const MYSQL_OBJECTS: &str = r#"
program=$(client mariadb-dump mysqldump) || exit
mark=$1 database=$2
shift 2
case $("$program" --version) in
  *MariaDB*) own= ;;
  *) own='--set-gtid-purged=OFF --loose-column-statistics=0' ;;
esac
while [ $# -gt 0 ]; do
  kind=$1 count=$2
  shift 2
  case $kind in
    views) only='--skip-triggers' ;;
    triggers) only='--no-create-info --triggers --add-drop-trigger' ;;
    routines) only='--no-create-info --skip-triggers --routines' ;;
    events) only='--no-create-info --skip-triggers --events' ;;
  esac
  printf '%s %s\n' "$mark" "$kind"
  names=$(i=1; while [ $i -le "$count" ]; do printf ' "${%d}"' $i; i=$((i + 1)); done)
  eval '"$program" --user="$user" $own --no-data --single-transaction --quick --no-tablespaces \
    --default-character-set=utf8mb4 --max-allowed-packet=1G --comments --skip-dump-date $only -- "$database"' "$names" || exit
  shift "$count"
done
"#;

const POSTGRES_DUMP: &str = r#"
program=$(client pg_dump) || exit
PGDATABASE=$1; export PGDATABASE
blocks "$program" --no-password --format=plain --encoding=UTF8
"#;

/// Roles and tablespaces, then the settings of databases, which neither `pg_dump` nor this has without `CREATE DATABASE`.
const POSTGRES_GLOBALS: &str = r#"
program=$(client pg_dumpall) || exit
psql=$(client psql) || exit
PGDATABASE=$(value POSTGRES_DB POSTGRESQL_DATABASE); : "${PGDATABASE:=$PGUSER}"; export PGDATABASE
"$program" --no-password --globals-only || exit
printf -- '\n%s\n' "$2"
printf '%s\n' "$1" | "$psql" -X --quiet --no-password --no-align --tuples-only --set=ON_ERROR_STOP=1 || exit
printf -- '%s\n' "$3"
"#;

/// Accounts and roles. `$1` asks for the questions, `$2` prepares the session, `$3` is the last line. What the client escapes
/// in a row is what `%b` takes back.
const MYSQL_GLOBALS: &str = r#"
program=$(client mariadb mysql) || exit
ask() {
  "$program" --user="$user" --batch --skip-column-names --binary-mode --default-character-set=utf8mb4 "$@"
}
questions=$(printf '%s\n' "$1" | ask --raw) || exit
answers=$(printf '%s\n' "$2" "$questions" | ask) || exit
printf '%s\n' "$answers" | while IFS= read -r line; do
  case $line in
    -*) printf '%b\n' "$line" ;;
    *) printf '%b;\n' "$line" ;;
  esac
done
printf -- '%s\n' "$3"
"#;

const REDIS_DUMP: &str = r#"
blocks "$cli" "$@" --rdb -
"#;

/// The script that carries out statements.
pub(super) fn feed(engine: Engine) -> String {
    match engine {
        Engine::Mysql | Engine::Mariadb => [PRELUDE, MYSQL_LOGIN, MYSQL_FEED].concat(),
        Engine::Postgres => [PRELUDE, POSTGRES_LOGIN, POSTGRES_FEED].concat(),
        Engine::Redis | Engine::Valkey => [PRELUDE, REDIS_LOGIN, REDIS_ASK].concat(),
    }
}

/// The script that writes a dump of one database, or of all that the server has.
pub(super) fn dump(engine: Engine) -> String {
    match engine {
        Engine::Mysql | Engine::Mariadb => [PRELUDE, BLOCKS, MYSQL_LOGIN, MYSQL_DUMP].concat(),
        Engine::Postgres => [PRELUDE, BLOCKS, POSTGRES_LOGIN, POSTGRES_DUMP].concat(),
        Engine::Redis | Engine::Valkey => [PRELUDE, BLOCKS, REDIS_LOGIN, REDIS_DUMP].concat(),
    }
}

/// The script that writes what a database of the MySQL family has beside its tables.
pub(super) fn objects() -> String {
    [PRELUDE, MYSQL_LOGIN, MYSQL_OBJECTS].concat()
}

/// The script that writes what belongs to the whole server.
pub(super) fn globals(engine: Engine) -> String {
    if engine.is_mysql() {
        [PRELUDE, MYSQL_LOGIN, MYSQL_GLOBALS].concat()
    } else {
        [PRELUDE, POSTGRES_LOGIN, POSTGRES_GLOBALS].concat()
    }
}
