#!/usr/bin/env bash
# The contract of the official PostgreSQL image, as far as tests need it. The server ends up as process 1, as user postgres.
set -euo pipefail

# setting NAME: $POSTGRES_NAME, or the content of the file that $POSTGRES_NAME_FILE names.
setting() {
    local variable=POSTGRES_$1 file=POSTGRES_$1_FILE
    if [[ -n ${!file-} ]]; then
        cat "${!file}"
    else
        printf '%s' "${!variable-}"
    fi
}

# Makes the cluster with its superuser and its database; nothing listens before that is done.
initialise() {
    local user database password arguments
    user=$(setting USER) database=$(setting DB) password=$(setting PASSWORD)
    user=${user:-postgres} database=${database:-$user}
    if [[ -z $password && ${POSTGRES_HOST_AUTH_METHOD-} != trust ]]; then
        echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
        exit 1
    fi
    IFS=' ' read -ra arguments <<<"${POSTGRES_INITDB_ARGS-}"
    initdb --username="$user" --pwfile=<(printf '%s\n' "${password:-unused}") --auth-local=trust --auth-host=trust \
        --no-sync "${arguments[@]}" >/dev/null
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    printf "listen_addresses = '*'\nshared_buffers = 64MB\n" >>"$PGDATA/postgresql.conf"
    [[ $database == postgres ]] || printf 'CREATE DATABASE "%s"\n' "${database//\"/\"\"}" |
        postgres --single -F postgres >/dev/null
}

[[ ${1-} != -* ]] || set -- postgres "$@"
[[ ${1-} == postgres ]] || exec "$@"

if [[ $(id -u) -eq 0 ]]; then
    mkdir -p "$PGDATA"
    chown postgres:postgres "$PGDATA" /run/postgresql
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
[[ -s $PGDATA/PG_VERSION ]] || initialise
exec "$@"
