//! The kernel's random pool: two forks of one guest must not draw the same keys.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;

/// Bytes mixed in by one call.
const CHUNK: usize = 256;

/// The argument of RNDADDENTROPY (random(4)).
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    bytes: i32,
    buffer: [u8; CHUNK],
}

const RNDADDENTROPY: u64 = 0x4008_5203;
const RNDRESEEDCRNG: u64 = 0x5207;

/// Mixes bytes into the pool, credits them as random and has the generator
/// start anew from it. Only the first 256 bytes are taken.
///
/// # Errors
/// As random(4): needs CAP_SYS_ADMIN.
pub fn reseed(seed: &[u8]) -> io::Result<()> {
    let length = seed.len().min(CHUNK);
    let mut info = PoolInfo {
        entropy_bits: i32::try_from(length * 8).unwrap_or(0),
        bytes: i32::try_from(length).unwrap_or(0),
        buffer: [0; CHUNK],
    };
    info.buffer[..length].copy_from_slice(&seed[..length]);
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/urandom")?;
    // SAFETY: the kernel reads the two counts and `bytes` bytes of the buffer
    // behind them, which is at least that long (random(4)).
    let added =
        unsafe { nix::libc::ioctl(device.as_raw_fd(), RNDADDENTROPY as _, &raw const info) };
    if added < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: RNDRESEEDCRNG takes no argument.
    match unsafe { nix::libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG as _) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
