//! Where a thread is: the return addresses on its stack, and one line for each on stderr.
//!
//! Nothing here allocates or takes a lock of ours, so it may be called inside `malloc` and `free`:
//!
//! | step | by |
//! |---|---|
//! | walk the stack | `_Unwind_Backtrace` if the process has an unwinder (C++ and Rust programs do), else frame pointers |
//! | name an address | `dladdr`: the nearest exported symbol, and the object with the offset inside it for `addr2line -e` |
//!
//! The unwinder is a weak reference: Cairn doesn't bring one, and a program without one still starts.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;

use crate::fault::Line;

/// Bytes of a symbol's name, and of the end of an object's path, that are shown.
const NAME_MAX: usize = 100;
const PATH_MAX: usize = 90;

type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;

/// Writes the return addresses of the calling thread into `frames`, innermost first, without the `skip` innermost ones; returns how
/// many. With `skip` 0 the first one lies in the caller.
#[inline(never)]
pub fn capture(frames: &mut [usize], skip: usize) -> usize {
    // This function's own frame comes first; a tail call would leave it out.
    core::hint::black_box(imp::walk(frames, skip + 1))
}

/// Prints addresses that [`capture`] found, one a line.
///
/// ```text
///     at 0x7f1234 main+0x12 (/usr/bin/prog+0x1234)
/// ```
pub fn print(frames: &[usize]) {
    for &frame in frames {
        print_frame(frame);
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

fn print_frame(frame: usize) {
    let line = Line::continued().text("    at ").address(frame);
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // A return address may lie behind the end of the function that makes the call, if that never returns.
    let call = frame.wrapping_sub(1);
    // SAFETY: any address may be asked about; the record is writable, and zeroes are a valid value of it.
    let info = unsafe {
        let dladdr: Option<Dladdr> = mem::transmute(imp::dladdr());
        if dladdr.is_none_or(|dladdr| dladdr(ptr::without_provenance(call), info.as_mut_ptr()) == 0) {
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

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod imp {
    use super::*;

    /// The address of a function that may be absent, from the global offset table; null if it is absent.
    macro_rules! weak {
        ($name:literal) => {{
            fn weak() -> *const c_void {
                let address: *const c_void;
                #[cfg(target_arch = "x86_64")]
                // SAFETY: one load from the global offset table, which the linker made for this reference.
                unsafe {
                    core::arch::asm!(
                        concat!(".weak ", $name),
                        concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                        out(reg) address,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
                #[cfg(target_arch = "aarch64")]
                // SAFETY: as above.
                unsafe {
                    core::arch::asm!(
                        concat!(".weak ", $name),
                        concat!("adrp {0}, :got:", $name),
                        concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                        out(reg) address,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
                address
            }
            weak()
        }};
    }

    /// `dladdr`; null in a static program that has none.
    pub fn dladdr() -> *const c_void {
        weak!("dladdr")
    }

    type Context = *mut c_void;
    type Step = extern "C" fn(Context, *mut c_void) -> c_int;
    type Backtrace = unsafe extern "C" fn(Step, *mut c_void) -> c_int;
    type GetIp = unsafe extern "C" fn(Context) -> usize;

    struct Walk<'a> {
        frames: &'a mut [usize],
        count: usize,
        skip: usize,
        get_ip: GetIp,
    }

    /// Goes on.
    const NO_REASON: c_int = 0;
    /// Ends the walk.
    const END_OF_STACK: c_int = 5;

    extern "C" fn step(context: Context, walk: *mut c_void) -> c_int {
        // SAFETY: `walk` below lends this record for the time of the call.
        let walk = unsafe { &mut *walk.cast::<Walk>() };
        // SAFETY: the unwinder's own function and context.
        let ip = unsafe { (walk.get_ip)(context) };
        if ip == 0 || walk.count == walk.frames.len() {
            return END_OF_STACK;
        }
        if walk.skip > 0 {
            walk.skip -= 1;
        } else {
            walk.frames[walk.count] = ip;
            walk.count += 1;
        }
        NO_REASON
    }

    /// The stack from the caller on, without `skip` frames.
    #[inline(never)]
    pub fn walk(frames: &mut [usize], skip: usize) -> usize {
        // SAFETY: the types of the functions of that name; null is None.
        let (backtrace, get_ip) = unsafe {
            let backtrace: Option<Backtrace> = mem::transmute(weak!("_Unwind_Backtrace"));
            let get_ip: Option<GetIp> = mem::transmute(weak!("_Unwind_GetIP"));
            (backtrace, get_ip)
        };
        let (Some(backtrace), Some(get_ip)) = (backtrace, get_ip) else { return by_frame_pointers(frames) };
        // The first step is this function.
        let mut walk = Walk { frames, count: 0, skip: skip + 1, get_ip };
        // SAFETY: `step` uses the record only during the call.
        unsafe { backtrace(step, (&raw mut walk).cast()) };
        walk.count
    }

    /// Follows saved frame pointers as far as they look like some.
    fn by_frame_pointers(frames: &mut [usize]) -> usize {
        /// A frame larger than this is none.
        const FRAME_MAX: usize = 1 << 20;
        let mut at: usize;
        // SAFETY: reads a register.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            core::arch::asm!("mov {}, rbp", out(reg) at, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "aarch64")]
            core::arch::asm!("mov {}, x29", out(reg) at, options(nomem, nostack, preserves_flags));
        }
        let mut low = (&raw const at).addr();
        let mut count = 0;
        while count < frames.len() && at > low && at - low < FRAME_MAX && at.is_multiple_of(8) {
            let Some([next, ip]) = read_pair(at) else { break };
            if ip < 4096 {
                break;
            }
            frames[count] = ip;
            count += 1;
            (low, at) = (at, next);
        }
        count
    }

    /// Two words of this process, or None where nothing is mapped: the register may hold anything.
    fn read_pair(at: usize) -> Option<[usize; 2]> {
        let _errno = crate::os::KeepErrno::new();
        let mut pair = [0usize; 2];
        let bytes = size_of_val(&pair);
        let into = libc::iovec { iov_base: pair.as_mut_ptr().cast(), iov_len: bytes };
        let from = libc::iovec { iov_base: ptr::without_provenance_mut(at), iov_len: bytes };
        // SAFETY: the kernel writes into `pair` only, and refuses addresses that can't be read.
        let got = unsafe { libc::process_vm_readv(libc::getpid(), &into, 1, &from, 1, 0) };
        (got == bytes as isize).then_some(pair)
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
mod imp {
    use super::*;

    /// None that could be named without making it a must.
    pub fn dladdr() -> *const c_void {
        ptr::null()
    }

    /// No way to walk a stack is known here.
    pub fn walk(_: &mut [usize], _: usize) -> usize {
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
