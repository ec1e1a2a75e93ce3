#!/bin/bash
# Kept for comparison, not for use: the kind of script that the tool `restore` replaces. Its faults are kept on purpose:
#
#   - it loads over the live database, table by table: a dump that is cut short leaves half of the old and half of the new
#   - tables that came after the backup stay; triggers, events and routines are whatever was there before
#   - `set -e` sees only the status at the end of the pipe: a broken .gz counts as restored as far as it could be read
#   - the password stands in argv; the files are unpacked over the live ones, and what was added since stays among them
#   - there is no way back, and no question
#
#   APP_DIR=/opt/fleetbase restore.sh /var/backups/fleetbase/db_20251120_020000.sql.gz [files_20251120_020000.tar.gz]
set -e

APP_DIR="${APP_DIR:-/opt/fleetbase}"

if [ -z "$1" ]; then
    echo "Usage: $0 <db_TIMESTAMP.sql.gz> [files_TIMESTAMP.tar.gz]"
    exit 1
fi
DB_BACKUP=$(realpath "$1")
FILES_BACKUP=""
if [ -n "$2" ]; then
    FILES_BACKUP=$(realpath "$2")
fi

cd "$APP_DIR"
# shellcheck disable=SC1091  # the application's own file, known only where the script runs
source .env

echo "[$(date)] Restoring database from $DB_BACKUP..."
gunzip < "$DB_BACKUP" | docker compose exec -T database mysql -u root -p"$MYSQL_ROOT_PASSWORD" "$MYSQL_DATABASE"

if [ -n "$FILES_BACKUP" ]; then
    echo "[$(date)] Restoring files from $FILES_BACKUP..."
    tar -xzf "$FILES_BACKUP"
fi

echo "[$(date)] Restore completed"
