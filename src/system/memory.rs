//! The program's allocator: the system's, and a sentence where that has nothing left. The standard
//! library would print a line of its own and abort, which looks like a crash and is reported as one.
//!
//! libtorch takes its first memory before `main`, and ends the process with a C++ message where there is
//! none; [`check_address_space`] comes before it. What panics for want of memory (libtorch, threads) is explained in [`crate::system::failure`].

use std::alloc::{GlobalAlloc, Layout, System};

use crate::system::exit;

/// The system's allocator, which ends the program with a sentence where it would give nothing. For the
/// program alone: a library must not end a process.
#[derive(Debug)]
pub struct AbortWithMessage;

/// What [`crate::system::terminal::complain`] would print; that needs memory.
const SENTENCE: &[u8] =
    b"convae: there is not enough memory; free some, lower train.batch_size (of apply: \
                          --tile), or make the model's layers or images smaller\n";

// SAFETY: every call goes on to the system's allocator unchanged, and so does what it gives, unless the
// process ends.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for AbortWithMessage {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        found(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        found(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        found(unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

fn found(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        give_up();
    }
    block
}

/// Ends the program as a failure, without a single allocation: no destructors, no handlers. What
/// [`crate::system::atomic`] was writing stays behind as its hidden sibling, never as half a file.
#[cold]
#[allow(unsafe_code)]
fn give_up() -> ! {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SAID: AtomicBool = AtomicBool::new(false);
    // Several threads may find this out at once.
    if !SAID.swap(true, Ordering::SeqCst) {
        // SAFETY: the pointer and the length are those of a constant.
        unsafe { libc::write(libc::STDERR_FILENO, SENTENCE.as_ptr().cast(), SENTENCE.len()) };
    }
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(exit::FAILED.into()) }
}

/// Ends the program with the sentence where there is too little room for libtorch to set itself up. To be
/// run before the constructors of shared libraries, so it calls nothing but the system.
#[allow(unsafe_code)]
pub extern "C" fn check_address_space() {
    /// Bytes of addresses: libtorch 2.13 takes about 60 MB, behind 366 MB of its files.
    const ROOM: usize = 96 << 20;
    let (access, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of our own, at no address in particular, which nobody has used when it goes.
    unsafe {
        let room = libc::mmap(std::ptr::null_mut(), ROOM, access, kind, -1, 0);
        if room == libc::MAP_FAILED {
            give_up();
        }
        libc::munmap(room, ROOM);
    }
}
