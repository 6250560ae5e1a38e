//! A checksum over a whole `.pt` file, so that no byte of it can change unnoticed: the entries' own
//! checksums leave out the zip file's headers. It stands in the comment that ends a zip file, where
//! PyTorch does not look.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::error::Fault;

/// What a seal begins with; after it come the digits.
const LABEL: &str = "sha256:";
/// Two hexadecimal digits for each of the 32 bytes.
const DIGITS: usize = 64;

/// A seal over nothing yet, to be the zip file's comment.
pub(super) fn blank() -> String {
    format!("{LABEL}{:0<DIGITS$}", "")
}

/// Seals a file that ends in a [`blank`] comment.
pub(super) fn close(file: &mut [u8]) {
    let (content, digits) = file.split_at_mut(file.len() - DIGITS);
    digits.copy_from_slice(digits_of(content).as_bytes());
}

/// Whether the file is as it was when it was sealed.
pub(super) fn check(file: &[u8]) -> Result<(), Fault> {
    let (content, digits) = file.split_at(file.len().saturating_sub(DIGITS));
    if !content.ends_with(LABEL.as_bytes()) {
        return Err(Fault::Truncated("the checksum at its end is missing".to_owned()));
    }
    if digits_of(content).as_bytes() != digits {
        return Err(Fault::damaged("the checksum of the whole file is wrong"));
    }
    Ok(())
}

fn digits_of(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::with_capacity(DIGITS), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
