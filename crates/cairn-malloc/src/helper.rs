//! Threads of Cairn's own, which are started only when a setting asks for one.
//!
//! They end with the process. A forked child doesn't have them (threads don't survive fork) and gets none: starting threads in a
//! child of fork isn't allowed to most programs, and a child that calls exec gets its own. They never allocate.

use cairn_alloc::audit;
use cairn_core::fault::Line;
use cairn_core::os::{self, Signals};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

/// What a helper does, for ever.
pub type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// Starts a helper; false, after a message that names the setting which wanted it, if that can't be.
#[cold]
pub fn start(setting: &str, body: Body) -> bool {
    const STACK: usize = 64 * 1024;
    // SAFETY: the attributes and the thread's place are written before they are read, and outlive the calls that
    // take them. The thread uses nothing of this frame.
    let failure = unsafe {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::zeroed();
        let mut thread = MaybeUninit::<libc::pthread_t>::zeroed();
        // Nobody joins the thread, and it need not be detached for that: it never ends. The attributes own nothing.
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
        // The program's signals are for the program's threads. A thread inherits the mask of its creator.
        let before = os::refuse_signals(Signals::OF_PROGRAM);
        let (thread, null) = (thread.as_mut_ptr(), ptr::null_mut());
        let mut failure = libc::pthread_create(thread, attributes.as_ptr(), body, null);
        if failure == libc::EINVAL {
            // A program with much static thread-local storage needs larger stacks; let the C library choose.
            libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), 1 << 20);
            failure = libc::pthread_create(thread, attributes.as_ptr(), body, null);
        }
        os::refuse_only(before);
        failure
    };
    if failure == 0 {
        audit::helper_started();
        return true;
    }
    let line = Line::new().text(setting).text(": no thread could be started (error ");
    line.number(failure as usize).text("); the program runs without it").print();
    false
}
