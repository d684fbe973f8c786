//! The wall clock: a thawed guest has to be told what time it is.

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime, clock_settime};
use std::io;
use std::time::Duration;

/// Sets the wall clock to a time since 1970.
///
/// # Errors
/// As clock_settime(2): without CAP_SYS_TIME it is refused.
pub fn set(since_epoch: Duration) -> io::Result<()> {
    let nanos = i64::try_from(since_epoch.as_nanos()).map_err(|_| io::ErrorKind::InvalidInput)?;
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::nanoseconds(nanos)).map_err(io::Error::from)
}

/// How long this machine has run, suspension included.
///
/// # Errors
/// As clock_gettime(2).
pub fn since_boot() -> io::Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(Duration::from(time))
}
