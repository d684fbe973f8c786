//! From a bzImage to the uncompressed ELF kernel in it, which QEMU boots
//! directly (PVH): the guest is spared the decompression.

use crate::ImageError;

/// The start of an LZ4 legacy frame, which Debian's kernels are packed in.
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// The largest block of an LZ4 legacy frame, unpacked.
const LZ4_BLOCK: usize = 8 << 20;

/// The largest kernel that is unpacked, in bytes.
const MAX_KERNEL: usize = 512 << 20;

/// Unpacks the kernel. An ELF file is taken as it is.
pub(crate) fn unpack(image: &[u8]) -> Result<Vec<u8>, ImageError> {
    if image.starts_with(b"\x7fELF") {
        return Ok(image.to_vec());
    }
    let starts = image
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == LZ4_LEGACY);
    for (start, _) in starts {
        let kernel = lz4(&image[start + 4..]).filter(|kernel| kernel.starts_with(b"\x7fELF"));
        if let Some(kernel) = kernel {
            return Ok(kernel);
        }
    }
    Err(ImageError::Unusable(
        "The kernel image holds no kernel packed with LZ4".into(),
    ))
}

/// Unpacks blocks, each behind its length, until one is not a block.
fn lz4(mut packed: &[u8]) -> Option<Vec<u8>> {
    let mut kernel = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(block) = rest.get(..length) else {
            break;
        };
        let Ok(plain) = lz4_flex::block::decompress(block, LZ4_BLOCK) else {
            break;
        };
        kernel.extend(plain);
        if length == 0 || kernel.len() > MAX_KERNEL {
            break;
        }
        packed = &rest[length..];
    }
    (!kernel.is_empty()).then_some(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_kernel_is_found_behind_other_bytes() {
        let kernel: Vec<u8> = [b"\x7fELF".to_vec(), vec![7; 100_000]].concat();
        let block = lz4_flex::block::compress(&kernel);
        let mut image = vec![0; 333];
        image.extend(LZ4_LEGACY);
        image.extend((block.len() as u32).to_le_bytes());
        image.extend(block);
        image.extend([0; 64]);
        assert_eq!(unpack(&image).unwrap(), kernel);
        assert!(unpack(&[0; 999]).is_err());
    }
}
