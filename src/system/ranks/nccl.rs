//! Sums among the GPUs of several processes: the functions of `torch-ext/nccl.cpp`, made safe. NCCL never waits here for
//! another process; whoever waits decides for how long.

#[cfg(convae_nccl)]
pub(super) use bound::Nccl;
#[cfg(not(convae_nccl))]
pub(super) use unbound::Nccl;

#[cfg(convae_nccl)]
mod bound {
    use std::ptr::null_mut;
    use std::thread::yield_now;

    use tch::Tensor;

    use super::super::group::Problem;
    use crate::system::torch_ext::checked;

    /// The functions as C has them. None lets an exception through, and each that gives a text gives null, or what went
    /// wrong.
    #[allow(unsafe_code)]
    mod ext {
        use std::ffi::{c_char, c_int, c_void};

        #[repr(C)]
        pub struct Members {
            opaque: [u8; 0],
        }

        unsafe extern "C" {
            pub fn convae_nccl_invite(invitation: *mut u8) -> *mut c_char;
            pub fn convae_nccl_join(
                device: c_int,
                invitation: *const u8,
                rank: c_int,
                size: c_int,
                members: *mut *mut Members,
            ) -> *mut c_char;
            pub fn convae_nccl_is_ready(members: *mut Members, ready: *mut bool) -> *mut c_char;
            pub fn convae_nccl_begin_sum(members: *mut Members, values: *mut c_void)
            -> *mut c_char;
            pub fn convae_nccl_is_summed(members: *mut Members, done: *mut bool) -> *mut c_char;
            pub fn convae_nccl_leave(members: *mut Members);
        }
    }

    /// Bytes of what rank 0 hands out for the others to find it.
    const INVITATION: usize = 128;

    /// Processes that add up tensors, each on a GPU of its own. All must ask for the same, in the same order.
    #[derive(Debug)]
    pub(in crate::system::ranks) struct Nccl(*mut ext::Members);

    // Calls take it mutably, and so come one after the other.
    #[allow(unsafe_code)]
    unsafe impl Send for Nccl {}

    impl Nccl {
        /// What rank 0 tells the others.
        pub fn invite() -> Result<Vec<u8>, Problem> {
            let mut invitation = vec![0; INVITATION];
            #[allow(unsafe_code)] // it has room for so many
            checked(unsafe { ext::convae_nccl_invite(invitation.as_mut_ptr()) })?;
            Ok(invitation)
        }

        /// Waits for all others as long as `goes_on` says.
        pub fn join(
            device: usize,
            invitation: &[u8],
            (rank, size): (usize, usize),
            goes_on: impl FnMut() -> bool,
        ) -> Result<Self, Problem> {
            if invitation.len() != INVITATION {
                return Err("rank 0 has not invited the others".to_owned());
            }
            let mut members = null_mut();
            #[allow(unsafe_code)] // it reads so many bytes, before it returns
            checked(unsafe {
                ext::convae_nccl_join(
                    device as i32,
                    invitation.as_ptr(),
                    rank as i32,
                    size as i32,
                    &raw mut members,
                )
            })?;
            let own = Self(members);
            #[allow(unsafe_code)] // they live as long as `own`
            until(goes_on, |ready| unsafe { ext::convae_nccl_is_ready(own.0, ready) })?;
            Ok(own)
        }

        /// The sums of what all bring, `(N,)` on this GPU, in its place.
        pub fn sum(
            &mut self,
            values: &mut Tensor,
            goes_on: impl FnMut() -> bool,
        ) -> Result<(), Problem> {
            #[allow(unsafe_code)] // NCCL's side keeps a share of the tensor until it is done
            checked(unsafe { ext::convae_nccl_begin_sum(self.0, values.as_mut_ptr().cast()) })?;
            #[allow(unsafe_code)] // they live as long as this
            until(goes_on, |done| unsafe { ext::convae_nccl_is_summed(self.0, done) })
        }
    }

    impl Drop for Nccl {
        fn drop(&mut self) {
            #[allow(unsafe_code)] // nobody else has them
            unsafe {
                ext::convae_nccl_leave(self.0);
            }
        }
    }

    /// Questions between two of `goes_on`, which is dearer.
    const QUESTIONS: usize = 1000;

    /// Asks until the answer is yes.
    fn until(
        mut goes_on: impl FnMut() -> bool,
        mut ask: impl FnMut(*mut bool) -> *mut std::ffi::c_char,
    ) -> Result<(), Problem> {
        loop {
            for _ in 0..QUESTIONS {
                let mut yes = false;
                checked(ask(&raw mut yes))?;
                if yes {
                    return Ok(());
                }
                yield_now();
            }
            if !goes_on() {
                return Err("it was given up".to_owned());
            }
        }
    }
}

#[cfg(not(convae_nccl))]
mod unbound {
    use tch::Tensor;

    use super::super::group::Problem;

    /// What this build lacks: there is none.
    #[derive(Debug)]
    pub(in crate::system::ranks) enum Nccl {}

    impl Nccl {
        pub fn invite() -> Result<Vec<u8>, Problem> {
            Err("this convae was built without NCCL".to_owned())
        }

        pub fn join(
            _: usize,
            _: &[u8],
            _: (usize, usize),
            _: impl FnMut() -> bool,
        ) -> Result<Self, Problem> {
            Err("this convae was built without NCCL".to_owned())
        }

        pub fn sum(&mut self, _: &mut Tensor, _: impl FnMut() -> bool) -> Result<(), Problem> {
            match *self {}
        }
    }
}

/// Whether this build can add up on GPUs.
#[must_use]
pub const fn sums_on_gpus() -> bool {
    cfg!(convae_nccl)
}
