#!/bin/bash
# Kept for comparison, not for use: the kind of script that the tool `backup` replaces. Tests and benchmarks run it beside the
# tool, and `restore` reads what it wrote. Its faults are kept on purpose:
#
#   - `set -e` sees only gzip's status at the end of the pipe: a dump that fails or is cut short counts as a good backup
#   - the password stands in argv, where every user of the machine reads it (ps), and the copy of .env is open to all
#   - no --single-transaction, so the tables are of different moments or locked; no routines, no events, no --hex-blob; where
#     the server has GTIDs (MySQL 9.7 by default), what it dumps does not load into that server again
#   - files carry their final names while they are written, and nothing is flushed to the disk: a cut leaves half a backup
#   - `find -delete` counts days, not good backups: thirty bad nights leave nothing; two runs at once write into each other
#   - nothing is encrypted, verified or reported; the cache and the volumes are not backed up at all
#
#   APP_DIR=/opt/fleetbase BACKUP_DIR=/var/backups/fleetbase backup.sh
set -e

APP_DIR="${APP_DIR:-/opt/fleetbase}"
BACKUP_DIR="${BACKUP_DIR:-/var/backups/fleetbase}"
RETENTION_DAYS="${RETENTION_DAYS:-30}"
TIMESTAMP=$(date +%Y%m%d_%H%M%S)

cd "$APP_DIR"
# shellcheck disable=SC1091  # the application's own file, known only where the script runs
source .env
mkdir -p "$BACKUP_DIR"

echo "[$(date)] Backing up database..."
docker compose exec -T database mysqldump -u root -p"$MYSQL_ROOT_PASSWORD" "$MYSQL_DATABASE" | gzip > "$BACKUP_DIR/db_$TIMESTAMP.sql.gz"

echo "[$(date)] Backing up files..."
tar -czf "$BACKUP_DIR/files_$TIMESTAMP.tar.gz" storage/uploads

echo "[$(date)] Backing up configuration..."
cp .env "$BACKUP_DIR/env_$TIMESTAMP"

echo "[$(date)] Removing backups older than $RETENTION_DAYS days..."
find "$BACKUP_DIR" -type f -mtime +"$RETENTION_DAYS" -delete

echo "[$(date)] Backup completed: $BACKUP_DIR"
