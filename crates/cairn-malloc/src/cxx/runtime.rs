//! What is needed of the C++ runtime, found without needing that there is one.
//!
//! Each function of it is first taken from a weak reference (the dynamic loader filled it if libstdc++ was
//! there when Cairn was loaded; the linker, if both are in one static program) and else looked up by name.

use cairn_core::fault::Line;
use cairn_core::weak;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The address of a function or object of the runtime.
pub type Function = *const c_void;

/// Looks a function up in all that is loaded now; null if it is nowhere.
///
/// `dlsym` is weak too, because a static program may have none, and doesn't need it. `dlopen` is found
/// through it: the linker warns everybody who mentions `dlopen` in a static program.
fn look_up(name: &CStr) -> Function {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
    // SAFETY: the type of the function of that name, and null is None.
    let dlsym: Option<Dlsym> = unsafe { mem::transmute(weak!("dlsym")) };
    let Some(dlsym) = dlsym else { return ptr::null() };
    // SAFETY: both names are C strings; `dlopen` has this type, and null is None.
    let dlopen: Option<Dlopen> = unsafe {
        let found = dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        if !found.is_null() {
            return found;
        }
        mem::transmute(dlsym(libc::RTLD_DEFAULT, c"dlopen".as_ptr()))
    };
    let Some(dlopen) = dlopen else { return ptr::null() };
    // A runtime that came with a module of an interpreter is invisible to the search above.
    for library in [c"libstdc++.so.6", c"libc++.so.1", c"libc++abi.so.1"] {
        // SAFETY: the names are C strings. RTLD_NOLOAD loads nothing; the handle is never closed, and so
        // the library stays as long as its function is in use.
        unsafe {
            let handle = dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            if !handle.is_null() {
                let found = dlsym(handle, name.as_ptr());
                if !found.is_null() {
                    return found;
                }
            }
        }
    }
    ptr::null()
}

/// A function of the runtime: its weak reference, or else what [`look_up`] finds, or null.
#[cold]
#[inline(never)]
fn runtime(linked: Function, name: &CStr) -> Function {
    if linked.is_null() { look_up(name) } else { linked }
}

/// The program's new-handler, or null.
pub extern "C" fn handler() -> Function {
    // SAFETY: the type of `std::get_new_handler()`; null is None.
    let get: Option<unsafe extern "C" fn() -> Function> =
        unsafe { mem::transmute(runtime(weak!("_ZSt15get_new_handlerv"), c"_ZSt15get_new_handlerv")) };
    // SAFETY: it has no preconditions, and throws nothing.
    get.map_or(ptr::null(), |get| unsafe { get() })
}

/// libstdc++'s personality routine, for the table of the nothrow stub; null as long as it wasn't needed,
/// and the unwinder takes null for "this frame has no handler".
pub static PERSONALITY: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// [`handler`] for one who is going to catch what it throws.
pub extern "C" fn handler_nothrow() -> Function {
    let handler = handler();
    if !handler.is_null() && PERSONALITY.load(Relaxed).is_null() {
        PERSONALITY
            .store(runtime(weak!("__gxx_personality_v0"), c"__gxx_personality_v0").cast_mut(), Relaxed);
    }
    handler
}

/// The end of `catch (...) {}` for an exception that the nothrow stub caught.
pub extern "C" fn swallow(exception: *mut c_void) {
    // SAFETY: the types of the functions of that name; null is None.
    let (begin, end) = unsafe {
        let begin: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void> =
            mem::transmute(runtime(weak!("__cxa_begin_catch"), c"__cxa_begin_catch"));
        let end: Option<unsafe extern "C" fn()> =
            mem::transmute(runtime(weak!("__cxa_end_catch"), c"__cxa_end_catch"));
        (begin, end)
    };
    if let (Some(begin), Some(end)) = (begin, end) {
        // SAFETY: the personality routine handed over this exception, and this is the one catch of it.
        unsafe {
            begin(exception);
            end();
        }
    }
}

/// Finds out how to throw `std::bad_alloc`: returns the function that a stub shall jump to, with its
/// arguments in `arguments`, if it takes any.
///
/// Mostly that is `std::__throw_bad_alloc()`, without any. A static program may lack it, because the linker
/// takes out of an archive only what somebody needs, and Cairn asks weakly; if it knows `std::bad_alloc` at
/// all (else it can't catch one), what that function does is done here. If there is nothing to throw with
/// the process ends: the standard leaves no other way.
pub extern "C" fn thrower(arguments: &mut MaybeUninit<[Function; 3]>) -> Function {
    let throw = runtime(weak!("_ZSt17__throw_bad_allocv"), c"_ZSt17__throw_bad_allocv");
    if !throw.is_null() {
        return throw;
    }
    let throw = weak!("__cxa_throw");
    let (kind, table) = (weak!("_ZTISt9bad_alloc"), weak!("_ZTVSt9bad_alloc").cast::<Function>());
    // SAFETY: the type of the function of that name; null is None.
    let allocate: Option<unsafe extern "C" fn(usize) -> *mut Function> =
        unsafe { mem::transmute(weak!("__cxa_allocate_exception")) };
    if let Some(allocate) = allocate
        && !throw.is_null()
        && !kind.is_null()
        && !table.is_null()
    {
        // SAFETY: a bad_alloc is a pointer to its table of virtual functions, which begins two words into
        // `table`. The runtime has memory put aside for this case and ends the process if that is used up.
        let exception = unsafe {
            let exception = allocate(size_of::<Function>());
            exception.write(table.add(2).cast());
            exception
        };
        arguments.write([exception.cast_const().cast(), kind, weak!("_ZNSt9bad_allocD1Ev")]);
        return throw;
    }
    Line::new()
        .text("operator new is out of memory, and nothing in this process can throw std::bad_alloc ")
        .text("(a static C++ program: link with -Wl,-u,_ZSt17__throw_bad_allocv)")
        .abort()
}
