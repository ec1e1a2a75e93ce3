#!/usr/bin/env bash
# The contract of the official Redis image, as far as tests need it. The server ends up as process 1, as user redis.
set -euo pipefail

[[ ${1-} != -* && ${1-} != *.conf ]] || set -- redis-server "$@"
[[ ${1-} == redis-server ]] || exec "$@"

if [[ $(id -u) -eq 0 ]]; then
    find . \! -user redis -exec chown redis:redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
# The official build has protected mode off by default; what the caller gives comes later and wins.
configuration=()
if [[ ${2-} != -* && -n ${2-} ]]; then
    configuration=("$2")
    set -- "$1" "${@:3}"
fi
exec redis-server "${configuration[@]}" --protected-mode no "${@:2}"
