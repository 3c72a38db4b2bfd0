//! The handler that turns a fault at a guarded block into a report.
//!
//! After the report the signal's default action is restored and the handler returns: the instruction runs again, and the process
//! ends by the same signal at the same instruction, so that a core file or a debugger shows the place itself. A fault
//! elsewhere goes to the handler that was there before ours, or has its default action likewise.
//!
//! A program that sets a handler of its own later sees the faults first, and if it doesn't pass them on there is no report.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cairn_core::backtrace;
use cairn_core::os::{self, KeepErrno, thread_number};

use super::pool;
use super::report::{self, Access};

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What was there before us.
struct Before(UnsafeCell<[MaybeUninit<libc::sigaction>; 2]>);

// SAFETY: written once, by `install`, before the kernel knows of the handler, which reads it: of each signal its own. Other
// threads may run meanwhile.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new([MaybeUninit::zeroed(); 2]));

/// The thread that reports; 0 if none does.
static REPORTER: AtomicU32 = AtomicU32::new(0);

/// Installs the handler, once, and gives the calling thread a stack for it if it has none: an overflow of the usual one must not be
/// hidden by us. If the kernel doesn't tell who handles a signal now, that stays so.
pub fn install() {
    static INSTALLED: AtomicU32 = AtomicU32::new(0);
    // Relaxed: one thread enters a mode. It may have tried before, and been refused.
    if INSTALLED.swap(1, Relaxed) != 0 {
        return;
    }
    os::give_signal_stack(64 * 1024);
    for (index, &signal) in SIGNALS.iter().enumerate() {
        // SAFETY: zeroes are an empty action, which holds back no signals; the handler fits SA_SIGINFO; `BEFORE` is written by this
        // thread only.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // In two calls: in one the kernel would have the handler before this knew whom to pass a fault of another thread on to.
            let before = &mut (*BEFORE.0.get())[index];
            if libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) == 0 {
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
    }
}

extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let _errno = KeepErrno::new();
    // SAFETY: the kernel's record. Positive codes are faults of this thread; others were sent by somebody.
    let (address, is_fault) = unsafe { ((*info).si_addr().addr(), (*info).si_code > 0) };
    if !is_fault || !pool::contains(address) {
        // SAFETY: what the kernel gave to this handler.
        return unsafe { pass_on(signal, info, context, is_fault) };
    }
    // What the program would do if the thread were cancelled here, in cleanup handlers and in whoever joins it, could end the process
    // before the report does.
    os::refuse_cancel();
    let me = thread_number() as u32;
    match REPORTER.compare_exchange(0, me, Relaxed, Relaxed) {
        Ok(_) => {
            let mut frames = [0; 48];
            // SAFETY: what the kernel gave to this handler.
            let (count, access) = unsafe {
                (backtrace::capture_interrupted(context.cast(), &mut frames), access(context.cast()))
            };
            backtrace::end_soon();
            report::print_access(address, access, pool::nearest(address).as_ref(), &frames[..count]);
            os::alarm(0);
        }
        // The report itself met a fault: no further words.
        Err(reporter) if reporter == me => {}
        // The other thread's report ends the process.
        Err(reporter) => loop {
            os::sleep_while(&REPORTER, reporter, 0);
        },
    }
    // Returning runs the instruction again.
    os::default_action(signal);
}

/// Does what would have been done without us.
///
/// # Safety
/// The arguments are those of the handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, is_fault: bool) {
    let index = SIGNALS.iter().position(|&known| known == signal).unwrap_or(0);
    // SAFETY: written by `install`. A handler of the program has the type that its flags tell.
    unsafe {
        let before = (*BEFORE.0.get())[index].assume_init_ref();
        match before.sa_sigaction {
            // A fault can't be ignored: the instruction would run for ever.
            libc::SIG_IGN if !is_fault => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                os::default_action(signal);
                if !is_fault {
                    os::send_to_me(signal);
                }
            }
            theirs if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let theirs: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = mem::transmute(theirs);
                theirs(signal, info, context);
            }
            theirs => {
                let theirs: extern "C" fn(c_int) = mem::transmute(theirs);
                theirs(signal);
            }
        }
    }
}

/// Whether the instruction read or wrote.
///
/// # Safety
/// The kernel's record of the interrupted thread.
unsafe fn access(context: *const libc::ucontext_t) -> Access {
    #[cfg(target_arch = "x86_64")]
    {
        /// The bit of the processor's error code for a write.
        const WRITE: libc::greg_t = 2;
        // SAFETY: the caller's contract.
        let error = unsafe { (*context).uc_mcontext.gregs[libc::REG_ERR as usize] };
        if error & WRITE != 0 { Access::Write } else { Access::Read }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // Behind the registers the kernel puts records, each with a kind and its length; one holds the syndrome of the fault.
        const SYNDROME: u32 = 0x4553_5201;
        const WRITE: u64 = 1 << 6;
        const REGISTERS: usize = (size_of::<u64>() * 34).next_multiple_of(16);
        // SAFETY: the caller's contract; the records end with one of kind 0 within 4096 bytes.
        unsafe {
            let first = (&raw const (*context).uc_mcontext).cast::<u8>().add(REGISTERS);
            let mut at = 0;
            while at < 4096 {
                let [kind, bytes] = first.add(at).cast::<[u32; 2]>().read();
                if kind == SYNDROME {
                    let syndrome = first.add(at + 8).cast::<u64>().read();
                    return if syndrome & WRITE != 0 { Access::Write } else { Access::Read };
                }
                if kind == 0 || bytes == 0 {
                    break;
                }
                at += bytes as usize;
            }
        }
        Access::Unknown
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        Access::Unknown
    }
}
