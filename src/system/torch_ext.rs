//! What tch does not bind of libtorch: the functions of `torch-ext`, made safe.

use std::ffi::{CStr, c_char};

/// The functions as C has them: none keeps a pointer, and none lets an exception through. Each that gives a text gives
/// null, or what went wrong, which [`ext::convae_free`] takes back.
#[allow(unsafe_code)]
mod ext {
    use std::ffi::c_char;

    unsafe extern "C" {
        pub safe fn convae_set_context(allow_tf32: bool, deterministic: bool) -> *mut c_char;
        pub safe fn convae_context(tf32: &mut bool, deterministic: &mut bool) -> *mut c_char;
        pub fn convae_free(text: *mut c_char);
    }
}

/// Takes what a function gives.
pub(super) fn checked(text: *mut c_char) -> Result<(), String> {
    match taken(text) {
        None => Ok(()),
        // What follows is where in libtorch's sources it happened.
        Some(problem) => Err(problem.lines().next().unwrap_or_default().to_owned()),
    }
}

/// A text of C's, if there is one.
pub(super) fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    #[allow(unsafe_code)] // it is ours until it is given back, once
    unsafe {
        let own = CStr::from_ptr(text).to_string_lossy().into_owned();
        ext::convae_free(text);
        Some(own)
    }
}

/// How libtorch computes on GPUs, in the whole program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context {
    /// Whether products of float32 may round what they multiply to TF32's 11 significant bits.
    pub allow_tf32: bool,
    /// Whether the same numbers give the same bits in each run.
    pub deterministic: bool,
}

impl Context {
    /// From here on.
    ///
    /// # Errors
    /// libtorch's own words, or that it computes otherwise all the same.
    pub fn set(self) -> Result<(), String> {
        checked(ext::convae_set_context(self.allow_tf32, self.deterministic))?;
        let now = Self::now()?;
        if now != self {
            return Err("it computes otherwise all the same".to_owned());
        }
        Ok(())
    }

    fn now() -> Result<Self, String> {
        let mut now = Self::default();
        checked(ext::convae_context(&mut now.allow_tf32, &mut now.deterministic))?;
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_libtorch_says() {
        let before = Context::now().unwrap();
        for (allow_tf32, deterministic) in [(true, false), (false, true), (true, true)] {
            let context = Context { allow_tf32, deterministic };
            context.set().unwrap();
            assert_eq!(Context::now(), Ok(context));
        }
        before.set().unwrap();
    }
}
