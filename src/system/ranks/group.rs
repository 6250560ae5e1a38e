//! libtorch's processes that meet: a store of texts that one of them serves, and a group that adds up numbers. These are
//! the functions of `torch-ext/group.cpp`, made safe; what a failure means, and who is to blame, is not known here.

use std::time::Duration;

/// What one of the processes failed in: libtorch's own words.
pub(super) type Problem = String;

/// How a group came to be, and how to come to it.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// Where the store is served.
    pub host: String,
    pub port: u16,
    /// Before every key: stores of others may be served at the same place.
    pub prefix: String,
}

/// Numbers that a group adds up.
pub trait Summand: Copy + Default {
    /// Whether it is `f64`, and not `f32`.
    const IS_WIDE: bool;

    /// The nearest one.
    fn of(value: f64) -> Self;

    /// The same number.
    fn wide(self) -> f64;
}

impl Summand for f32 {
    const IS_WIDE: bool = false;

    fn of(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Summand for f64 {
    const IS_WIDE: bool = true;

    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

#[cfg(convae_c10d)]
pub(super) use bound::{Group, Store};
#[cfg(not(convae_c10d))]
pub(super) use unbound::{Group, Store};

#[cfg(convae_c10d)]
mod bound {
    use std::ffi::CString;
    use std::ptr::null_mut;

    use super::{Address, Duration, Problem, Summand};
    use crate::system::torch_ext::checked;

    /// The functions as C has them. None lets an exception through, and each that gives a text gives null, or what went
    /// wrong.
    #[allow(unsafe_code)]
    mod ext {
        use std::ffi::{c_char, c_int, c_void};

        #[repr(C)]
        pub struct Store {
            opaque: [u8; 0],
        }

        #[repr(C)]
        pub struct Group {
            opaque: [u8; 0],
        }

        unsafe extern "C" {
            pub safe fn convae_group_hush();
            pub fn convae_store_open(
                host: *const c_char,
                port: u16,
                serves: bool,
                prefix: *const c_char,
                timeout_ms: i64,
                store: *mut *mut Store,
            ) -> *mut c_char;
            pub fn convae_store_set(
                store: *mut Store,
                key: *const c_char,
                value: *const c_char,
            ) -> *mut c_char;
            pub fn convae_store_get(
                store: *mut Store,
                key: *const c_char,
                value: *mut *mut c_char,
            ) -> *mut c_char;
            pub fn convae_store_add(
                store: *mut Store,
                key: *const c_char,
                amount: i64,
                sum: *mut i64,
            ) -> *mut c_char;
            pub fn convae_store_close(store: *mut Store);
            pub fn convae_group_join(
                store: *mut Store,
                rank: c_int,
                size: c_int,
                local: bool,
                network: *const c_char,
                timeout_ms: i64,
                group: *mut *mut Group,
            ) -> *mut c_char;
            pub fn convae_group_begin_sum(
                group: *mut Group,
                values: *mut c_void,
                count: i64,
                wide: bool,
            ) -> *mut c_char;
            pub fn convae_group_begin_copy(
                group: *mut Group,
                bytes: *mut u8,
                count: i64,
            ) -> *mut c_char;
            pub fn convae_group_wait(
                group: *mut Group,
                timeout_ms: i64,
                done: *mut bool,
            ) -> *mut c_char;
            pub fn convae_group_leave(group: *mut Group);
        }
    }

    /// Texts by their keys, which all processes see.
    #[derive(Debug)]
    pub(in crate::system::ranks) struct Store(*mut ext::Store);

    // libtorch's store has a lock of its own: several threads ask it here.
    #[allow(unsafe_code)]
    unsafe impl Send for Store {}
    #[allow(unsafe_code)]
    unsafe impl Sync for Store {}

    impl Store {
        /// Served by this process if `serves`, else by another one, which is there already.
        pub fn open(address: &Address, serves: bool, timeout: Duration) -> Result<Self, Problem> {
            ext::convae_group_hush();
            let (host, prefix) = (text(&address.host), text(&address.prefix));
            let mut store = null_mut();
            #[allow(unsafe_code)] // the texts live until it returns, and it keeps copies
            checked(unsafe {
                ext::convae_store_open(
                    host.as_ptr(),
                    address.port,
                    serves,
                    prefix.as_ptr(),
                    milliseconds(timeout),
                    &raw mut store,
                )
            })?;
            Ok(Self(store))
        }

        pub fn set(&self, key: &str, value: &str) -> Result<(), Problem> {
            let (key, value) = (text(key), text(value));
            #[allow(unsafe_code)] // the store lives, and so do the texts until it returns
            checked(unsafe { ext::convae_store_set(self.0, key.as_ptr(), value.as_ptr()) })
        }

        /// `None` where nothing is stored.
        pub fn get(&self, key: &str) -> Result<Option<String>, Problem> {
            let (key, mut value) = (text(key), null_mut());
            #[allow(unsafe_code)] // as above; `value` is ours if it is set
            checked(unsafe { ext::convae_store_get(self.0, key.as_ptr(), &raw mut value) })?;
            Ok(crate::system::torch_ext::taken(value))
        }

        /// Adds to a number, and gives what it is then.
        pub fn add(&self, key: &str, amount: i64) -> Result<i64, Problem> {
            let (key, mut sum) = (text(key), 0);
            #[allow(unsafe_code)] // as above
            checked(unsafe { ext::convae_store_add(self.0, key.as_ptr(), amount, &raw mut sum) })?;
            Ok(sum)
        }
    }

    impl Drop for Store {
        fn drop(&mut self) {
            #[allow(unsafe_code)] // nobody else has it
            unsafe {
                ext::convae_store_close(self.0);
            }
        }
    }

    /// Processes that add up numbers. All must ask for the same, in the same order.
    #[derive(Debug)]
    pub(in crate::system::ranks) struct Group(*mut ext::Group);

    // Calls take it mutably, and so come one after the other; which thread they come from does not matter.
    #[allow(unsafe_code)]
    unsafe impl Send for Group {}

    impl Group {
        /// Waits for all others, so long at most. `network` names an interface, or is empty.
        pub fn join(
            store: &Store,
            (rank, size): (usize, usize),
            is_local: bool,
            network: &str,
            timeout: Duration,
        ) -> Result<Self, Problem> {
            let (network, mut group) = (text(network), null_mut());
            #[allow(unsafe_code)] // the store lives, and the group keeps its own share of it
            checked(unsafe {
                ext::convae_group_join(
                    store.0,
                    rank as i32,
                    size as i32,
                    is_local,
                    network.as_ptr(),
                    milliseconds(timeout),
                    &raw mut group,
                )
            })?;
            Ok(Self(group))
        }

        /// The sums of what all bring; `goes_on` is asked now and then while others are not there yet.
        pub fn sum<T: Summand>(
            &mut self,
            mut values: Vec<T>,
            goes_on: impl FnMut() -> bool,
        ) -> Result<Vec<T>, Problem> {
            let (place, count) = (values.as_mut_ptr(), values.len() as i64);
            #[allow(unsafe_code)] // `finish` sees to it that they live
            let begun = checked(unsafe {
                ext::convae_group_begin_sum(self.0, place.cast(), count, T::IS_WIDE)
            });
            self.finish(begun, values, goes_on)
        }

        /// The bytes that rank 0 brings; all others bring as many.
        pub fn copy(
            &mut self,
            mut bytes: Vec<u8>,
            goes_on: impl FnMut() -> bool,
        ) -> Result<Vec<u8>, Problem> {
            let (place, count) = (bytes.as_mut_ptr(), bytes.len() as i64);
            #[allow(unsafe_code)] // `finish` sees to it that they live
            let begun = checked(unsafe { ext::convae_group_begin_copy(self.0, place, count) });
            self.finish(begun, bytes, goes_on)
        }

        /// Gives the values back as they are in the end. Of what fails they are never freed: threads of libtorch's may
        /// still write to them.
        fn finish<T>(
            &mut self,
            begun: Result<(), Problem>,
            values: Vec<T>,
            mut goes_on: impl FnMut() -> bool,
        ) -> Result<Vec<T>, Problem> {
            let outcome = begun.and_then(|()| {
                let mut done = false;
                while !done {
                    #[allow(unsafe_code)] // the group lives
                    checked(unsafe {
                        ext::convae_group_wait(self.0, milliseconds(SLICE), &raw mut done)
                    })?;
                    if !done && !goes_on() {
                        return Err("it was given up".to_owned());
                    }
                }
                Ok(())
            });
            match outcome {
                Ok(()) => Ok(values),
                Err(problem) => {
                    std::mem::forget(values);
                    Err(problem)
                }
            }
        }

        /// Closes the connections.
        pub fn leave(self) {
            #[allow(unsafe_code)] // nobody else has it
            unsafe {
                ext::convae_group_leave(self.0);
            }
        }
    }

    /// How often `goes_on` is asked.
    const SLICE: Duration = Duration::from_millis(200);

    fn milliseconds(time: Duration) -> i64 {
        i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
    }

    /// For C, which ends a text at its first zero byte.
    fn text(text: &str) -> CString {
        CString::new(text.replace('\0', "")).unwrap_or_default()
    }
}

#[cfg(not(convae_c10d))]
mod unbound {
    use super::{Address, Duration, Problem, Summand};

    /// What this build lacks: there is none.
    #[derive(Debug)]
    pub(in crate::system::ranks) enum Store {}

    #[derive(Debug)]
    pub(in crate::system::ranks) enum Group {}

    impl Store {
        pub fn open(_: &Address, _: bool, _: Duration) -> Result<Self, Problem> {
            Err("this convae was built with a libtorch that has no gloo".to_owned())
        }

        pub fn set(&self, _: &str, _: &str) -> Result<(), Problem> {
            match *self {}
        }

        pub fn get(&self, _: &str) -> Result<Option<String>, Problem> {
            match *self {}
        }

        pub fn add(&self, _: &str, _: i64) -> Result<i64, Problem> {
            match *self {}
        }
    }

    impl Group {
        pub fn join(
            store: &Store,
            _: (usize, usize),
            _: bool,
            _: &str,
            _: Duration,
        ) -> Result<Self, Problem> {
            match *store {}
        }

        pub fn sum<T: Summand>(
            &mut self,
            _: Vec<T>,
            _: impl FnMut() -> bool,
        ) -> Result<Vec<T>, Problem> {
            match *self {}
        }

        pub fn copy(&mut self, _: Vec<u8>, _: impl FnMut() -> bool) -> Result<Vec<u8>, Problem> {
            match *self {}
        }

        pub fn leave(self) {
            match self {}
        }
    }
}

/// Whether this build can train in several processes.
#[must_use]
pub const fn is_built() -> bool {
    cfg!(convae_c10d)
}
