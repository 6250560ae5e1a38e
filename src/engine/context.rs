//! libtorch's switches that tch does not bind (`torch-ext/context.cpp`).

use std::ffi::{CStr, c_char};

#[allow(unsafe_code)] // the functions of torch-ext: they keep no pointer, and let no exception through
mod ext {
    use super::c_char;

    unsafe extern "C" {
        /// Null, or a text that [`convae_free`] takes back.
        pub safe fn convae_set_context(allow_tf32: bool, deterministic: bool) -> *mut c_char;
        pub safe fn convae_allows_tf32() -> bool;
        pub safe fn convae_is_deterministic() -> bool;
        /// # Safety
        /// Of a text that one of these functions gave, and once.
        pub unsafe fn convae_free(text: *mut c_char);
    }
}

/// How libtorch computes on GPUs, in the whole program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Context {
    /// Whether products of float32 may round what they multiply to TF32's 11 significant bits.
    pub allow_tf32: bool,
    /// Whether the same numbers give the same bits in each run.
    pub deterministic: bool,
}

impl Context {
    /// From here on.
    ///
    /// # Errors
    /// libtorch's own words, or that it computes otherwise all the same: variables of the environment can overrule this.
    pub fn set(self) -> Result<(), String> {
        let text = ext::convae_set_context(self.allow_tf32, self.deterministic);
        if text.is_null() {
            let now = Self::now();
            return if now == self {
                Ok(())
            } else {
                Err(format!("it should compute with {self:?}, and computes with {now:?}"))
            };
        }
        #[allow(unsafe_code)] // it is a text of C's, and ours until it is given back
        let problem = unsafe {
            let problem = CStr::from_ptr(text).to_string_lossy().into_owned();
            ext::convae_free(text);
            problem
        };
        Err(problem)
    }

    /// As it is now.
    fn now() -> Self {
        Self {
            allow_tf32: ext::convae_allows_tf32(),
            deterministic: ext::convae_is_deterministic(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_libtorch_says() {
        let before = Context::now();
        for (allow_tf32, deterministic) in [(true, false), (false, true), (true, true)] {
            let context = Context { allow_tf32, deterministic };
            context.set().unwrap();
            assert_eq!(Context::now(), context);
        }
        before.set().unwrap();
    }
}
