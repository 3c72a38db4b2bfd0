//! Where a thread is: the return addresses on its stack, and one line for each on stderr.
//!
//! Nothing here allocates or takes a lock of ours, so it may be called inside `malloc` and `free`:
//!
//! | step | by |
//! |---|---|
//! | walk the stack | the unwind tables of the objects that are loaded (`tables`, `rules`, `registers`), as the C++ runtime does it |
//! | leave Cairn's own functions out | `own`: where the shared object that this code is in lies |
//! | name an address | `dladdr`: the nearest exported symbol, and the object with the offset inside it for `addr2line -e` |
//!
//! An unwinder of our own, because a C program has none: glibc's `backtrace` loads one when it is first called, which allocates,
//! in the very moment in which the heap is known to be broken. The walk ends at code without tables (made by a just-in-time
//! compiler, or by hand). On other processors than x86-64 and aarch64 there are no frames.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod own;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod registers;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod rules;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod tables;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;

use crate::fault::Line;
use crate::os::{self, Signals};

/// Bytes of a symbol's name, and of the end of an object's path, that are shown.
const NAME_MAX: usize = 100;
const PATH_MAX: usize = 90;

type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;

/// Writes the return addresses of the calling thread into `frames`, innermost first, without the `skip` innermost ones; returns how
/// many. With `skip` 0 the first one lies in the caller; but in the shared object the functions of Cairn are left out in any case.
#[inline(never)]
pub fn capture(frames: &mut [usize], skip: usize) -> usize {
    // This function's own frame comes first.
    imp::walk_here(frames, skip + 1)
}

/// Like [`capture`], for the code that a signal interrupted; the first address is the instruction itself.
///
/// # Safety
/// `context` is what the kernel gave to a handler that was installed with `SA_SIGINFO`, and the handler runs.
pub unsafe fn capture_interrupted(context: *const libc::ucontext_t, frames: &mut [usize]) -> usize {
    // SAFETY: the caller's contract.
    unsafe { imp::walk_interrupted(context, frames) }
}

/// Prints where the calling thread is, for a process that is about to end. Addresses are named under a lock of the dynamic loader's;
/// should that never be released (a child of fork may find it so), the process is ended by SIGALRM after some seconds.
#[inline(never)]
pub fn print_last(skip: usize) {
    end_soon();
    print_here(skip + 1);
    os::alarm(0);
}

/// From now on the process ends within some seconds, by SIGALRM if need be: what is said last may wait for a lock for ever.
pub fn end_soon() {
    const PATIENCE_SECONDS: u16 = 5;
    // This process has no other use for its alarm any more.
    os::default_action(libc::SIGALRM);
    os::take_signals(Signals::one(libc::SIGALRM));
    os::alarm(PATIENCE_SECONDS);
}

/// Prints addresses that [`capture`] found, one a line.
///
/// ```text
///     at 0x7f1234 main+0x12 (/usr/bin/prog+0x1234)
/// ```
pub fn print(frames: &[usize]) {
    for &frame in frames {
        // A return address may lie behind the end of the function that makes the call, if that never returns.
        print_frame(frame, frame.wrapping_sub(1));
    }
}

/// Prints addresses that [`capture_interrupted`] found.
pub fn print_interrupted(frames: &[usize]) {
    if let [first, callers @ ..] = frames {
        print_frame(*first, *first);
        print(callers);
    }
}

/// Prints where the calling thread is, without the `skip` innermost functions.
#[inline(never)]
pub fn print_here(skip: usize) {
    let mut frames = [0; 48];
    let count = capture(&mut frames, skip + 1);
    // After the capture, so that this function has a frame.
    print(&frames[..count]);
}

/// Prints an address that lies in the same function as `inside`.
fn print_frame(frame: usize, inside: usize) {
    let line = Line::continued().text("    at ").address(frame);
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked about; the record is writable, and zeroes are a valid value of it.
    let info = unsafe {
        let dladdr: Option<Dladdr> = mem::transmute(imp::dladdr());
        if dladdr.is_none_or(|dladdr| dladdr(ptr::without_provenance(inside), info.as_mut_ptr()) == 0) {
            line.print();
            return;
        }
        info.assume_init()
    };
    // SAFETY: dladdr gives C strings of loaded objects, or null.
    let (name, path) = unsafe { (bytes(info.dli_sname), bytes(info.dli_fname)) };
    let line = match name {
        [] => line,
        name => line
            .text(" ")
            .bytes(&name[..name.len().min(NAME_MAX)])
            .text("+")
            .address(frame - info.dli_saddr.addr()),
    };
    let cut = path.len().saturating_sub(PATH_MAX);
    let line = line.text(if cut > 0 { " (..." } else { " (" }).bytes(&path[cut..]);
    line.text("+").address(frame.wrapping_sub(info.dli_fbase.addr())).text(")").print();
}

/// # Safety
/// `text` is null or a C string that lives on.
unsafe fn bytes(text: *const c_char) -> &'static [u8] {
    // SAFETY: the caller's contract.
    if text.is_null() { &[] } else { unsafe { CStr::from_ptr(text) }.to_bytes() }
}

/// Those processors whose registers the unwinder knows.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod imp {
    use super::registers::Registers;
    use super::{own, rules, tables};
    use crate::weak;

    /// `dladdr`; null in a static program that has none.
    pub fn dladdr() -> *const core::ffi::c_void {
        weak!("dladdr")
    }

    /// The stack from the caller on, without `skip` frames.
    #[inline(always)]
    pub fn walk_here(frames: &mut [usize], skip: usize) -> usize {
        walk(Registers::here(), frames, skip)
    }

    /// The stack of what a signal interrupted.
    ///
    /// # Safety
    /// `context` is what the kernel gave to a handler.
    pub unsafe fn walk_interrupted(context: *const libc::ucontext_t, frames: &mut [usize]) -> usize {
        // SAFETY: the caller's contract.
        walk(unsafe { Registers::interrupted(context) }, frames, 0)
    }

    #[inline(never)]
    fn walk(mut registers: Registers, frames: &mut [usize], mut skip: usize) -> usize {
        let mut count = 0;
        // Inside this function, not behind a call in it.
        let mut exact = true;
        while count < frames.len() {
            let pc = registers.pc;
            if skip > 0 {
                skip -= 1;
            } else if count > 0 || !own::holds(pc) {
                frames[count] = pc;
                count += 1;
            }
            let inside = if exact { pc } else { pc.wrapping_sub(1) };
            let Some(function) = tables::function_at(inside) else { break };
            let Some(caller) = rules::caller(&function, inside, &registers) else { break };
            // A caller's frame lies above; only a signal may have come on another stack.
            let ends = caller.pc == 0 || (!function.is_signal_frame && caller.stack() < registers.stack());
            if ends || (caller.pc == pc && caller.stack() == registers.stack()) {
                break;
            }
            exact = function.is_signal_frame;
            registers = caller;
        }
        count
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
mod imp {
    /// None that could be named without making it a must.
    pub fn dladdr() -> *const core::ffi::c_void {
        core::ptr::null()
    }

    /// No way to walk a stack is known here.
    pub fn walk_here(_: &mut [usize], _: usize) -> usize {
        0
    }

    /// No way to walk a stack is known here.
    ///
    /// # Safety
    /// None.
    pub unsafe fn walk_interrupted(_: *const libc::ucontext_t, _: &mut [usize]) -> usize {
        0
    }
}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod tests {
    use super::*;

    #[inline(never)]
    fn inner(frames: &mut [usize]) -> usize {
        core::hint::black_box(capture(frames, 0))
    }

    /// Whether `frame` lies in the first bytes of a function.
    fn is_in(frame: usize, function: usize) -> bool {
        (function..function + 256).contains(&frame)
    }

    #[test]
    fn the_first_frame_lies_in_the_caller() {
        let mut frames = [0; 32];
        let count = inner(&mut frames);
        assert!(count >= 3, "{count} frames");
        assert!(is_in(frames[0], (inner as fn(&mut [usize]) -> usize) as usize), "{frames:x?}");
    }

    #[test]
    fn a_short_array_is_filled_and_no_more() {
        let mut frames = [0; 2];
        assert_eq!(inner(&mut frames), 2);
        assert!(frames.iter().all(|&frame| frame != 0));
    }
}
