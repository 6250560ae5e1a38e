//! What libtorch frees in a step it asks for again in the next. glibc gives blocks above 128 KB back to
//! the kernel each time, and the page faults then cost as much as the arithmetic; here it is told to
//! keep them. The native engine allocates once, but the batches that it is fed come and go.

/// Blocks below this stay with the process; glibc allows no more.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 32 << 20;
/// Free memory at the heap's end, up to this, too.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_AT_THE_END: i32 = 512 << 20;

/// Does nothing where the C library is not glibc, or the user has set MALLOC_MMAP_THRESHOLD_.
#[allow(unsafe_code)]
pub(super) fn keep_freed_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_MMAP_THRESHOLD_").is_none() {
        // SAFETY: mallopt takes two numbers and locks what it changes; a refusal leaves all as it was.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_AT_THE_END);
        }
    }
}
