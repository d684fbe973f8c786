//! What layers are packed with.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, Read};

/// How the kinds of compression begin.
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// How a frame of zstd begins that is to be skipped, behind a first byte of 0x50 to 0x5f.
const SKIPPED: &[u8] = b"\x2a\x4d\x18";

/// A layer's bytes, unpacked from whatever they are packed with.
pub(super) fn unpacked(mut bytes: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
    let head = bytes.fill_buf()?;
    let is_skipped = match head {
        [first, rest @ ..] => first & 0xf0 == 0x50 && rest.starts_with(SKIPPED),
        [] => false,
    };
    Ok(if head.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(bytes))
    } else if head.starts_with(ZSTD) || is_skipped {
        Box::new(Frames::of(bytes))
    } else {
        Box::new(bytes)
    })
}

/// Frames of zstd (RFC 8878), one after the other: some tools write a layer as many.
struct Frames<R> {
    bytes: R,
    frame: FrameDecoder,
    is_within: bool,
}

impl<R: BufRead> Frames<R> {
    fn of(bytes: R) -> Self {
        Self {
            bytes,
            frame: FrameDecoder::new(),
            is_within: false,
        }
    }

    /// Begins with the next frame, if there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.bytes.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.bytes) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(
                        &mut self.bytes.by_ref().take(length.into()),
                        &mut io::sink(),
                    )?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within {
                self.is_within = self.begin()?;
                if !self.is_within {
                    return Ok(0);
                }
            }
            let read = self.frame.read(to)?;
            if read > 0 || to.is_empty() {
                return Ok(read);
            }
            if self.frame.is_finished() {
                self.is_within = false;
                continue;
            }
            let one = BlockDecodingStrategy::UptoBlocks(1);
            let decoded = self.frame.decode_blocks(&mut self.bytes, one);
            decoded.map_err(io::Error::other)?;
        }
    }
}
