//! Extended attributes of files that are open (xattr(7)).

use nix::errno::Errno;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The longest value, in bytes: XATTR_SIZE_MAX (limits.h).
const MAX: usize = 1 << 16;

/// Sets an attribute, in place of what it was.
///
/// # Errors
/// As fsetxattr(2): where the file system has none, `Unsupported`.
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> io::Result<()> {
    let file = file.as_fd().as_raw_fd();
    // SAFETY: the name ends with a NUL, and the kernel reads as many bytes of the value as
    // its length says; both outlive the call, and so does the descriptor.
    let result =
        unsafe { nix::libc::fsetxattr(file, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Ok(Errno::result(result).map(drop)?)
}

/// What an attribute is; `None` if there is none of that name.
///
/// # Errors
/// As fgetxattr(2): one that is longer than 64 KiB is no attribute.
pub fn get(file: impl AsFd, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    let file = file.as_fd().as_raw_fd();
    let mut value = vec![0; MAX];
    // SAFETY: the name ends with a NUL, and the kernel writes no more than the length that
    // is given, which is the buffer's; all outlive the call.
    let length = unsafe {
        nix::libc::fgetxattr(file, name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    match Errno::result(length) {
        Ok(length) => {
            value.truncate(usize::try_from(length).unwrap_or(0));
            Ok(Some(value))
        }
        Err(Errno::ENODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_what_it_was_set_to() {
        let path = std::env::temp_dir().join(format!("nestlab-xattr-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let name = c"user.nestlab";
        match set(&file, name, b"a\nb\0") {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return eprintln!("skipped: temporary files have no attributes here");
            }
            done => done.unwrap(),
        }
        assert_eq!(get(&file, name).unwrap().as_deref(), Some(&b"a\nb\0"[..]));
        assert_eq!(get(&file, c"user.other").unwrap(), None);
        assert!(set(&file, name, &vec![0; MAX + 1]).is_err());
    }
}
