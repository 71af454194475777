//! Rewriting the file of a database, so that nothing is left in it of what was removed.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long another process may be at the file.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes the database of `file` anew, and empties its log: SQLite only marks as free what is removed. A run on the
/// file may go on meanwhile.
///
/// # Errors
/// If the file can't be written, or another process is at it all the time.
pub fn rewrite(file: &Path) -> Result<(), String> {
    let rewritten = || {
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        database.busy_timeout(PATIENCE)?;
        database.execute_batch("VACUUM")?;
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
    };
    match rewritten() {
        Ok(0) => Ok(()),
        Ok(_) => Err(format!("{}: another process reads it: try again", file.display())),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
