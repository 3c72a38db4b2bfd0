//! Audits of the heap: `cairn_check`, by a signal (`CAIRN_AUDIT_SIGNAL`), and every so often and at exit (`CAIRN_AUDIT_MS`).
//!
//! A signal may arrive while its thread is inside the heap, so the handler only wakes a thread of Cairn's own (helper.rs), which
//! looks. That one never is the only thread, so it sees all but what running threads may be changing; the look at exit, and one by
//! `cairn_check` in a program with one thread, leave nothing out.

use crate::helper;
use crate::report::copy_of_stderr;
use crate::start::number;
use cairn_alloc::audit::{self, Failure};
use cairn_alloc::settings::{AUDIT_MS, AUDIT_SIGNAL};
use cairn_core::fault::Line;
use cairn_core::os;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

/// Signals so far; the helper sleeps on it.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// Where results are told: programs that close stderr in an exit handler would miss the last one.
static TO: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);

/// Looks at the whole heap of the process. 0 if it is whole; 1 if it is damaged, after a line on stderr that names the first
/// damage and its address; -1 and ENOMEM if there is no memory for what the audit has to note, or EDEADLK in a signal handler that
/// interrupted its thread inside the heap.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub extern "C" fn cairn_check() -> c_int {
    match audit::check() {
        Ok(_) => 0,
        Err(Failure::Broken(violation)) => {
            violation.line().print();
            1
        }
        Err(Failure::NoMemory) => not_done(libc::ENOMEM),
        Err(Failure::Inside) => not_done(libc::EDEADLK),
    }
}

fn not_done(errno: c_int) -> c_int {
    // SAFETY: errno is this thread's.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// A signal's number, in digits or by one of the names that make sense here.
pub fn signal(text: &[u8]) -> Option<usize> {
    let name = text.strip_prefix(b"SIG").unwrap_or(text);
    let number_of = match name {
        b"USR1" => libc::SIGUSR1,
        b"USR2" => libc::SIGUSR2,
        b"HUP" => libc::SIGHUP,
        b"URG" => libc::SIGURG,
        b"WINCH" => libc::SIGWINCH,
        _ => return number(text),
    };
    usize::try_from(number_of).ok()
}

/// Starts what the settings ask for; called once, at start.
pub fn begin() {
    let by_signal = AUDIT_SIGNAL.get() as c_int;
    if AUDIT_MS.get() == 0 && by_signal == 0 {
        return;
    }
    TO.store(copy_of_stderr(), Relaxed);
    let setting = if by_signal == 0 { "CAIRN_AUDIT_MS" } else { "CAIRN_AUDIT_SIGNAL" };
    if helper::start(setting, audit_for_ever) && by_signal > 0 && !take_signal(by_signal) {
        let line = Line::new().text("CAIRN_AUDIT_SIGNAL: signal ").number(by_signal as usize);
        line.text(" can't be handled; the heap is not audited by a signal").print();
    }
}

fn take_signal(number: c_int) -> bool {
    /// By which a program that has failed ends: a handler that returns would have it fail again, for ever.
    const LAST: [c_int; 7] =
        [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    if LAST.contains(&number) {
        return false;
    }
    // SAFETY: zeroes are a valid action; the handler may be called at any instruction: it wakes a thread and no more.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = on_signal as extern "C" fn(c_int) as usize;
        // The program's system calls go on, and threads with stacks of their own making are safe.
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(number, &action, ptr::null_mut()) == 0
    }
}

extern "C" fn on_signal(_: c_int) {
    WANTED.fetch_add(1, Relaxed);
    os::wake(&WANTED);
}

extern "C" fn audit_for_ever(_: *mut c_void) -> *mut c_void {
    let pause = AUDIT_MS.get();
    let mut answered = 0;
    loop {
        os::sleep_while(&WANTED, answered, pause);
        let wanted = WANTED.load(Relaxed);
        if wanted != answered {
            answered = wanted;
            answer();
        } else if pause > 0 {
            end_if_damaged(audit::check_by_helper().err());
        }
    }
}

/// Tells whoever sent the signal. A damaged program is let live: that is for who asked to decide.
fn answer() {
    tell(&match audit::check_by_helper() {
        Ok(seen) => seen.line(),
        Err(Failure::Broken(violation)) => violation.line(),
        Err(Failure::NoMemory | Failure::Inside) => {
            Line::new().text("audit: there is no memory for what it has to note")
        }
    });
}

/// The end of the process: a last look, if it was looked at before.
pub fn end() {
    if AUDIT_MS.get() > 0 {
        end_if_damaged(audit::check().err());
    }
}

/// What is damaged can't go on, or the damage would be found far from where it was done. An audit without memory is left out.
fn end_if_damaged(failure: Option<Failure>) {
    if let Some(Failure::Broken(violation)) = failure {
        tell(&violation.line());
        // SAFETY: may be called at any time.
        unsafe { libc::abort() };
    }
}

/// Writes a line to what was stderr at the start.
fn tell(line: &Line) {
    let text = &mut crate::text::Text::to(crate::text::Sink::Descriptor(TO.load(Relaxed)));
    text.bytes(line.as_bytes()).words("\n");
}
