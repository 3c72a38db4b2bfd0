//! The child's half: it makes a heap, writes where it is told to, and says what happened.
//!
//! A child of a process with threads may not touch what another thread could have held at the fork: so no `malloc`, no
//! `format!`, no `println!` here. Messages have fixed sizes and are made in place.

use std::alloc::Layout;
use std::io::Write;
use std::sync::atomic::{AtomicI32, Ordering};

use cairn_heap::{Break, FirstFit, Heap, Map, Source};

use crate::lesson::exact::Exact;

/// Bytes of the message before the attempt.
pub(super) const BEFORE: usize = 24;
/// Bytes of the message after it.
pub(super) const AFTER: usize = 16 + TEXT;
/// Bytes of text in it.
const TEXT: usize = 200;

/// The child's ends of the pipes.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// What it tells.
    pub(super) report: i32,
    /// What it is told.
    pub(super) target: i32,
    /// The parent's end of the latter: as long as somebody has it open, there is no end to wait for.
    pub(super) not_ours: i32,
}

/// Where things are, before the attempt.
pub(super) struct Before {
    pub(super) block: usize,
    pub(super) usable: usize,
    pub(super) heap_end: usize,
}

impl Before {
    pub(super) fn read(message: &[u8; BEFORE]) -> Before {
        let word = |index: usize| word(&message[index * 8..]);
        Before { block: word(0), usable: word(1), heap_end: word(2) }
    }

    fn message(&self) -> [u8; BEFORE] {
        let mut message = [0; BEFORE];
        for (index, word) in [self.block, self.usable, self.heap_end].into_iter().enumerate() {
            message[index * 8..][..8].copy_from_slice(&(word as u64).to_ne_bytes());
        }
        message
    }
}

fn word(bytes: &[u8]) -> usize {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_ne_bytes(word) as usize
}

/// Signal (0: none), its code, its address, text.
pub(super) fn read_after(message: &[u8; AFTER]) -> (i32, i32, usize, String) {
    let half =
        |at: usize| i32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
    let text = &message[16..];
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(TEXT);
    (half(0), half(4), word(&message[8..]), String::from_utf8_lossy(&text[..end]).into_owned())
}

fn after(signal: i32, code: i32, address: usize) -> [u8; AFTER] {
    let mut message = [0; AFTER];
    message[0..4].copy_from_slice(&signal.to_ne_bytes());
    message[4..8].copy_from_slice(&code.to_ne_bytes());
    message[8..16].copy_from_slice(&(address as u64).to_ne_bytes());
    message
}

/// Where the handler writes to.
static REPORT: AtomicI32 = AtomicI32::new(-1);

/// The whole life of the child.
pub(super) fn run(at_break: bool, asked: usize, ends: Ends) -> ! {
    // SAFETY: the descriptor is this process's copy, and nobody here uses it.
    unsafe { libc::close(ends.not_ours) };
    const ROOM: usize = 1 << 20;
    if at_break {
        attempt(Heap::new(Break::new(ROOM)), asked, ends, |_| cairn_core::os::program_break());
    } else {
        attempt(Heap::new(Map::new(ROOM)), asked, ends, |stop| stop);
    }
    end()
}

/// Ends the child without the parent's exit handlers.
fn end() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}

fn attempt<S: Source>(
    mut heap: Heap<S, FirstFit, Exact>,
    asked: usize,
    ends: Ends,
    heap_end: impl Fn(usize) -> usize,
) {
    let Ok(layout) = Layout::from_size_align(asked, 1) else { return };
    let (Ok(block), Ok(_)) = (heap.allocate(layout), heap.allocate(layout)) else { return };
    let Ok(usable) = heap.usable_size(block) else { return };
    let stop = heap.blocks().last().map_or(0, |last| last.address + last.size);
    let before = Before { block: block.addr().get(), usable, heap_end: heap_end(stop) };
    tell(ends.report, &before.message());
    let mut target = [0; 8];
    // SAFETY: there is room for eight bytes.
    if unsafe { libc::read(ends.target, target.as_mut_ptr().cast(), target.len()) } != 8 {
        return;
    }
    REPORT.store(ends.report, Ordering::Relaxed);
    leave_no_core();
    watch();
    // SAFETY: none: that is the lesson. The write may go anywhere in this process, which has nothing to lose: it was made for this, and
    // from here on it uses only the heap's audit, which survives any damage, and its stack.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(word(&target)).write_volatile(0xFF) };
    let mut message = after(0, 0, 0);
    if let Err(violation) = heap.check() {
        let mut text = &mut message[16..];
        // What doesn't fit is cut.
        let _ = write!(text, "{}", violation.invariant);
    }
    tell(ends.report, &message);
}

/// Writes a message, which is shorter than what a pipe takes whole.
fn tell(to: i32, message: &[u8]) {
    // SAFETY: the bytes are there. If the parent has gone, nobody waits for them.
    unsafe { libc::write(to, message.as_ptr().cast(), message.len()) };
}

/// No core file is to be left by a death that was asked for.
fn leave_no_core() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only change what is kept of this process when it dies.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/// Tells the parent of a fault, once; then the fault happens again, and the kernel ends the process as it would have without us.
fn watch() {
    // SAFETY: a `sigaction` of zeroes is a valid one: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND;
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the handler makes one system call and touches no memory but its own.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
}

extern "C" fn on_fault(signal: i32, info: *const libc::siginfo_t, _context: *const libc::c_void) {
    // SAFETY: the kernel passes the fault's description, of which these signals have the address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    tell(REPORT.load(Ordering::Relaxed), &after(signal, code, address));
}
