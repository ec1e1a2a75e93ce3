#!/usr/bin/env bash
# The contract of the official MariaDB and MySQL images, as far as tests need it. The server ends up as process 1, as user
# mysql. Both brands of variables are taken, as MariaDB's image does.
set -euo pipefail

fail() {
    printf '[ERROR] [Entrypoint]: %s\n' "$1" >&2
    exit 1
}

# setting NAME: $MARIADB_NAME, $MYSQL_NAME, or the content of the file that either of them with _FILE names.
setting() {
    local brand variable file
    for brand in MARIADB MYSQL; do
        variable=${brand}_$1 file=${brand}_$1_FILE
        if [[ -n ${!file-} ]]; then
            cat "${!file}"
            return
        elif [[ -n ${!variable-} ]]; then
            printf '%s' "${!variable}"
            return
        fi
    done
}

# A string literal of SQL, whatever the value holds.
literal() {
    local value=${1//\\/\\\\}
    printf "'%s'" "${value//\'/\'\'}"
}

identifier() {
    # shellcheck disable=SC2016  # a backtick of SQL
    printf '`%s`' "${1//\`/\`\`}"
}

# The statements that the first start runs before it listens, one a line, as --init-file wants them.
first_statements() {
    local root host database user password
    root=$(setting ROOT_PASSWORD) host=$(setting ROOT_HOST)
    database=$(setting DATABASE) user=$(setting USER) password=$(setting PASSWORD)
    printf 'ALTER USER root@localhost IDENTIFIED BY %s;\n' "$(literal "$root")"
    printf 'CREATE USER root@%s IDENTIFIED BY %s;\n' "$(literal "${host:-%}")" "$(literal "$root")"
    printf 'GRANT ALL ON *.* TO root@%s WITH GRANT OPTION;\n' "$(literal "${host:-%}")"
    [[ -z $database ]] || printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(identifier "$database")"
    [[ -n $user ]] || return 0
    printf 'CREATE USER %s@"%%" IDENTIFIED BY %s;\n' "$(literal "$user")" "$(literal "$password")"
    [[ -z $database ]] || printf 'GRANT ALL ON %s.* TO %s@"%%";\n' "$(identifier "${database//_/\\_}")" "$(literal "$user")"
}

[[ ${1-} != -* ]] || set -- "$(command -v mariadbd || command -v mysqld)" "$@"
[[ ${1-} == *mariadbd || ${1-} == *mysqld ]] || exec "$@"

if [[ $(id -u) -eq 0 ]]; then
    chown mysql:mysql /var/lib/mysql /run/mysqld
    exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
fi
[[ ! -d /var/lib/mysql/mysql ]] || exec "$@"
if [[ -z $(setting ROOT_PASSWORD)${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD-}${MYSQL_ALLOW_EMPTY_PASSWORD-} ]]; then
    fail 'Database is uninitialized and password option is not specified'
fi
cp -r --sparse=always /usr/share/testbed/data/. /var/lib/mysql/
exec "$@" --init-file=/dev/fd/3 3< <(first_statements)
