//! Which extended attributes of a layer's files are kept.

use super::extension::Attribute;
use std::ffi::CString;
use std::os::fd::AsFd;

/// Those that mean the same on every machine: what a program may do, and what users wrote.
const KEPT: [&[u8]; 2] = [b"security.capability", b"user."];

/// overlayfs(5) of an ordinary user takes orders from these: a layer's file could stand for
/// any other below the root.
const ORDERS: &[u8] = b"user.overlay.";

/// What all attributes of a file may come to, in bytes: ext4 has a block for them.
const MOST: usize = 3 << 10;

/// What an attribute takes beside its name and value.
const OVERHEAD: usize = 20;

/// Sets the attributes that may be kept, as far as we may set them and the file system has
/// them: a file without is better than none.
pub(super) fn keep(file: impl AsFd, attributes: &[Attribute]) {
    let mut left = MOST;
    for (name, value) in attributes.iter().filter(|(name, _)| is_kept(name)) {
        let taken = left.checked_sub(name.len() + value.len() + OVERHEAD);
        if let (Some(rest), Ok(name)) = (taken, CString::new(name.as_slice())) {
            left = rest;
            if let Err(error) = nestlab_sys::xattr::set(&file, &name, value) {
                tracing::debug!(?name, %error, "an attribute of a layer's file is not kept");
            }
        }
    }
}

fn is_kept(name: &[u8]) -> bool {
    let is = |kept: &&[u8]| match kept.ends_with(b".") {
        true => name.starts_with(kept),
        false => name == *kept,
    };
    KEPT.iter().any(is) && !name.starts_with(ORDERS)
}
